/** What can be wrong with a model's file: rules, what each means for the verdict, and what to do about it. */
import { FINDINGS_MAX } from './limits.ts';

/** `unsafe`: loading it may run code or harm the machine; `unknown`: nobody here can tell. */
export type Verdict = 'safe' | 'unsafe' | 'unknown';

interface RuleText {
  readonly verdict: Verdict;
  readonly advice: string;
}

const PICKLE = 'save the weights alone, as safetensors, ONNX or GGUF';
const ARCHIVE = 'pack it again with an ordinary tool';

/** Every rule. */
export const RULES = {
  'pickle-import': { verdict: 'unsafe', advice: `${PICKLE}, or use only classes of the allow list` },
  'pickle-computed-import': { verdict: 'unsafe', advice: `no library names imports like this; ${PICKLE}` },
  'pickle-computed-call': { verdict: 'unsafe', advice: `no library calls what it computed; ${PICKLE}` },
  'pickle-changed-import': { verdict: 'unsafe', advice: `no library changes what it imports; ${PICKLE}` },
  'pickle-extension-code': { verdict: 'unsafe', advice: `its meaning depends on the reading program; ${PICKLE}` },
  'pickle-persistent-id': { verdict: 'unsafe', advice: `its meaning depends on the reading program; ${PICKLE}` },
  'pickle-broken': { verdict: 'unsafe', advice: `Python runs a pickle up to where it breaks; ${PICKLE}` },
  'pickle-trailing-bytes': { verdict: 'unsafe', advice: `something is behind the pickle; ${PICKLE}` },
  'pickle-too-large': { verdict: 'unsafe', advice: `it is beyond what can be followed; ${PICKLE}` },
  polyglot: { verdict: 'unsafe', advice: 'two programs would read two different files; save it again' },
  'zip-tampered': { verdict: 'unsafe', advice: ARCHIVE },
  'archive-encrypted': { verdict: 'unsafe', advice: 'register the content without a password' },
  'archive-opaque': { verdict: 'unsafe', advice: 'register the content, or a zip or tar of it' },
  'archive-path': { verdict: 'unsafe', advice: 'its entries would be written outside the folder; pack it again' },
  'archive-link': { verdict: 'unsafe', advice: 'its links could lead out of the folder; pack the files themselves' },
  'archive-bomb': { verdict: 'unsafe', advice: 'it would fill the disk; register the content itself' },
  'archive-nested': {
    verdict: 'unsafe',
    advice: 'archives in archives are not followed further; register the content',
  },
  'archive-broken': { verdict: 'unsafe', advice: ARCHIVE },
  'special-file': { verdict: 'unsafe', advice: 'register a copy of what the link means' },
  'keras-code': {
    verdict: 'unsafe',
    advice: 'replace Lambda layers and own functions by layers of Keras, or export to ONNX',
  },
  'keras-file-access': { verdict: 'unsafe', advice: 'store the vocabulary in the model, not the name of a file' },
  'keras-escaped-config': { verdict: 'unsafe', advice: 'Keras writes plain names; save it again with Keras' },
  'tensorflow-operation': {
    verdict: 'unsafe',
    advice: 'this operation reaches files, network or Python; export without it',
  },
  'onnx-external-path': { verdict: 'unsafe', advice: 'external data must lie beside the model; save it again' },
  'template-code': { verdict: 'unsafe', advice: 'a chat template needs no names with underscores around; remove them' },
  'yaml-code': { verdict: 'unsafe', advice: 'remove the !!python tags' },
  'header-broken': { verdict: 'unsafe', advice: 'the header does not fit the file; save it again' },
  'too-many-files': { verdict: 'unsafe', advice: 'pack them' },
  'packed-too-large': { verdict: 'unknown', advice: 'register it unpacked' },
  'torchscript-code': { verdict: 'unknown', advice: 'TorchScript programs may read and write files; prefer ONNX' },
  'onnx-own-operation': { verdict: 'unknown', advice: 'it needs a library of own operators; know whose' },
  'source-code': { verdict: 'unknown', advice: 'it runs when the model is loaded with it; read it' },
  'text-too-large': { verdict: 'unknown', advice: 'texts this large are not looked through' },
  'chat-template': { verdict: 'safe', advice: 'a program that renders conversations; run it in a sandbox' },
} as const satisfies Record<string, RuleText>;

export type RuleName = keyof typeof RULES;

/** Something found in a file. */
export interface Finding {
  readonly rule: RuleName;
  /** What it is, as a name of the format: an import, an entry, an operation. */
  readonly what: string;
  /** Byte, entry or path inside the file. */
  readonly where: string;
  readonly advice: string;
}

/** What one file is. */
export interface FileReport {
  readonly path: string;
  readonly format: string;
  readonly verdict: Verdict;
  readonly findings: readonly Finding[];
}

/** Takes a finding; what the rule means and advises is the rule's. */
export type Tell = (rule: RuleName, what: string, where?: string) => void;

/** What was found in one file and in what it holds. */
export class Findings {
  readonly list: Finding[] = [];
  #verdict: Verdict = 'safe';

  get verdict(): Verdict {
    return this.#verdict;
  }

  /** Tells of things inside `place`; names are cut and made printable, since they are the file's. */
  tellIn(place: string): Tell {
    return (rule, what, where = '') => {
      const { verdict, advice } = RULES[rule];
      this.admit(verdict);
      const at = [place, where].filter(Boolean).join(': ');
      const finding = { rule, what: printable(what), where: printable(at), advice };
      if (this.list.length < FINDINGS_MAX && !this.list.some((other) => isSame(other, finding)))
        this.list.push(finding);
    };
  }

  /** Nothing found here makes it better. */
  admit(verdict: Verdict): void {
    this.#verdict = worse(this.#verdict, verdict);
  }
}

/** The more dangerous of the two. */
export function worse(a: Verdict, b: Verdict): Verdict {
  if (a === 'unsafe' || b === 'unsafe') return 'unsafe';
  return a === 'unknown' || b === 'unknown' ? 'unknown' : 'safe';
}

function isSame(a: Finding, b: Finding): boolean {
  return a.rule === b.rule && a.what === b.what && a.where === b.where;
}

function printable(text: string): string {
  return text
    .slice(0, 200)
    .replaceAll(/[^\x20-\x7e]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
