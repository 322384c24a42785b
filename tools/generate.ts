/** Writes what follows from the kinds: CRDs and the reference. With --check it only tells whether that is fresh. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { KINDS } from '../src/kinds/list.ts';
import { toCrd, toStructural } from '../src/kube/crd.ts';
import type { Kind } from '../src/kube/kind.ts';
import { apiVersionOf } from '../src/kube/object.ts';
import type { StructuralSchema } from '../src/kube/structural.ts';

const ROOT = join(import.meta.dirname, '..');
const NOTICE = 'Generated from src/kinds by `npm run generate`; do not edit.';

/** Every generated file by its path in the repository. */
export function generateAll(): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const { kind } of KINDS) {
    files.set(`deploy/crds/${kind.plural}.yaml`, `# ${NOTICE}\n${stringify(toCrd(kind))}`);
    files.set(`docs/reference/${kind.kind.toLowerCase()}.md`, describeKind(kind));
  }
  const list = KINDS.map(({ kind }) => `| [${kind.kind}](${kind.kind.toLowerCase()}.md) | ${kind.description} |`);
  files.set(
    'docs/reference/README.md',
    `<!-- ${NOTICE} -->\n# Kinds\n\n| kind | what it is |\n| --- | --- |\n${list.join('\n')}\n`,
  );
  return files;
}

function describeKind(kind: Kind): string {
  const { scope, shortNames, description, conditions, owns, reads } = kind;
  const names = [kind.plural, ...shortNames].map((name) => `\`${name}\``).join(', ');
  const said = Object.entries(conditions).map(([type, meaning]) => `| \`${type}\` | ${meaning} |`);
  const list = (kinds: readonly string[]) => (kinds.length === 0 ? 'nothing' : kinds.join(', '));
  return [
    `<!-- ${NOTICE} -->`,
    `# ${kind.kind}`,
    '',
    description,
    '',
    `\`apiVersion: ${apiVersionOf(kind)}\`, ${scope.toLowerCase()}; on the command line ${names}. It creates ${list(owns)} and reads ${list(reads)}.`,
    '',
    '## spec',
    '',
    ...describeFields(toStructural(kind.spec)),
    '',
    '## status',
    '',
    ...describeFields(toStructural(kind.status)),
    '',
    ...(said.length > 0 ? ['## Conditions', '', '| type | meaning |', '| --- | --- |', ...said, ''] : []),
  ].join('\n');
}

function describeFields(schema: StructuralSchema): readonly string[] {
  const rows = listFields(schema, '');
  return rows.length === 0
    ? ['No fields.']
    : ['| field | type | default | meaning |', '| --- | --- | --- | --- |', ...rows];
}

function listFields(schema: StructuralSchema, prefix: string): readonly string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const path = prefix === '' ? name : `${prefix}.${name}`;
    const needed = schema.required?.includes(name)
      ? 'required'
      : field.default === undefined
        ? ''
        : `\`${JSON.stringify(field.default)}\``;
    const meaning = [
      field.description ?? '',
      ...(field.enum ? [`One of ${field.enum.map((value) => `\`${String(value)}\``).join(', ')}.`] : []),
    ]
      .join(' ')
      .trim();
    const row = `| \`${path}\` | ${typeOf(field)} | ${needed} | ${meaning.replaceAll('|', '\\|')} |`;
    return [row, ...listFields(field.items ?? field, field.items ? `${path}[]` : path)];
  });
}

function typeOf(field: StructuralSchema): string {
  if (field['x-kubernetes-int-or-string'] === true) return 'integer or string';
  if (field.type === 'array') return `list of ${typeOf(field.items ?? {})}`;
  if (typeof field.additionalProperties === 'object') return `map of ${typeOf(field.additionalProperties)}`;
  return field.type ?? 'any';
}

/** Paths of files that are missing or differ from what the kinds say now. */
export function findStale(): readonly string[] {
  return [...generateAll()]
    .filter(([path, text]) => !existsSync(join(ROOT, path)) || readFileSync(join(ROOT, path), 'utf8') !== text)
    .map(([path]) => path);
}

if (process.argv[1] === import.meta.filename) {
  const stale = findStale();
  if (process.argv.includes('--check')) {
    for (const path of stale) process.stderr.write(`error: ${path} is not fresh, run 'npm run generate'\n`);
    process.exitCode = stale.length > 0 ? 1 : 0;
  } else {
    for (const [path, text] of generateAll()) {
      mkdirSync(join(ROOT, path, '..'), { recursive: true });
      writeFileSync(join(ROOT, path), text);
    }
    process.stdout.write(`${stale.length} files changed\n`);
  }
}
