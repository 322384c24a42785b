/** One request that a client made and the answer it got, as a line of a recorded set. */
import { createHash } from 'node:crypto';

export interface Exchange {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  /** Those that say something to a server: content-type, and MLflow's own. */
  readonly headers: Readonly<Record<string, string>>;
  /** As text, or `base64:` and bytes that are no text. Empty without a body. */
  readonly body: string;
  readonly status: number;
  /** As plainAnswer() gives it. */
  readonly answer: string;
}

const BINARY = 'base64:';
const KEPT_HEADER = /^(content-type|x-mlflow-.*)$/;
const ANSWER_MAX = 1_000;
const ID = /(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])/g;
/** Milliseconds of an epoch, a time of day, and a made-up run name: new at every replay. */
const NEW_EACH_TIME = [
  [/"?\b1[789]\d{11}\b"?/g, '"<time>"'],
  [/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>'],
  [/"[a-z]+-[a-z]+-\d+"/g, '"<name>"'],
] as const;

/** Bytes as they stand in a recorded set. */
export function writeBody(bytes: Buffer): string {
  const text = bytes.toString();
  return Buffer.from(text).equals(bytes) && !text.startsWith(BINARY) ? text : BINARY + bytes.toString('base64');
}

/** The opposite of writeBody(). */
export function readBody(written: string): Buffer {
  return written.startsWith(BINARY) ? Buffer.from(written.slice(BINARY.length), 'base64') : Buffer.from(written);
}

/** The headers worth keeping. */
export function keepHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  const kept = Object.entries(headers).filter(([name]) => KEPT_HEADER.test(name));
  return Object.fromEntries(kept.map(([name, value]) => [name, String(value)]));
}

/** Names for the ids that a server makes, in the order in which it tells them: the same at every replay. */
export class IdNames {
  readonly #names = new Map<string, string>();

  /** A request's text for the set. An id that no answer told before is the client's own and stays. */
  hide(text: string): string {
    return text.replace(ID, (id) => this.#nameOf(id, id));
  }

  /** An answer's text, with new ids named. */
  learn(text: string): string {
    return text.replace(ID, (id) => this.#nameOf(id, `<id ${this.#names.size}>`));
  }

  /** A request of the set with this server's ids. */
  show(text: string): string {
    let shown = text;
    for (const [id, name] of this.#names) shown = shown.replaceAll(name, id);
    this.hide(shown);
    return shown;
  }

  #nameOf(id: string, fresh: string): string {
    const name = this.#names.get(id) ?? fresh;
    this.#names.set(id, name);
    return name;
  }
}

/** What of an answer is the same at every replay: lists sorted, since equal times come in any order; long ones hashed. */
export function plainAnswer(answer: string, names: IdNames): string {
  let plain = names.learn(answer);
  for (const [pattern, replacement] of NEW_EACH_TIME) plain = plain.replace(pattern, replacement);
  if (plain.startsWith('{')) plain = JSON.stringify(sortLists(JSON.parse(plain)));
  if (plain.length <= ANSWER_MAX) return plain;
  return `${plain.slice(0, 200)}... sha256:${createHash('sha256').update(plain).digest('hex')}`;
}

function sortLists(value: unknown): unknown {
  if (Array.isArray(value)) {
    const texts = value.map((item) => JSON.stringify(sortLists(item)));
    return texts.toSorted().map((text): unknown => JSON.parse(text));
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, sortLists(item)]));
}
