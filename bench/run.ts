/** `npm run bench -- <name...>`: runs benches, prints their figures with the machine's facts, and keeps them under bench/results. */
import { globSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Bench, describeMachine, type Figure } from './measure.ts';

const FOLDER = import.meta.dirname;
const NOT_BENCHES = new Set([
  'run',
  'measure',
  'cluster',
  'tracking-peers',
  'tracking-rows',
  'tracking-server',
  'openb',
  'scheduler-process',
  'scheduler-world',
  'philly',
]);
const known = globSync('*.ts', { cwd: FOLDER })
  .map((file) => basename(file, '.ts'))
  .filter((name) => !NOT_BENCHES.has(name))
  .sort();
const names = process.argv.slice(2);
const unknown = names.filter((name) => !known.includes(name));

function toMarkdown(name: string, figures: readonly Figure[], machine: Readonly<Record<string, string>>): string {
  const rows = figures.map(({ what, value, unit, target = '' }) => `| ${what} | ${round(value)} ${unit} | ${target} |`);
  const facts = Object.entries(machine)
    .map(([fact, text]) => `${fact}: ${text}`)
    .join('; ');
  return [
    `# ${name}`,
    '',
    `\`npm run bench -- ${name}\`. ${facts}.`,
    '',
    '| what | measured | target |',
    '| --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}

function round(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

if (names.length === 0 || unknown.length > 0) {
  if (unknown.length > 0) process.stderr.write(`error: there is no bench ${unknown.join(', ')}\n`);
  process.stdout.write(`benches: ${known.join(', ')}\n`);
  process.exit(unknown.length > 0 ? 2 : 0);
}
mkdirSync(join(FOLDER, 'results'), { recursive: true });
for (const name of names) {
  const { bench } = (await import(`./${name}.ts`)) as { bench: Bench }; // why: every bench file exports it
  const machine = describeMachine();
  const figures = await bench();
  const text = toMarkdown(name, figures, machine);
  writeFileSync(join(FOLDER, 'results', `${name}.md`), text);
  writeFileSync(join(FOLDER, 'results', `${name}.json`), `${JSON.stringify({ machine, figures }, null, 2)}\n`);
  process.stdout.write(`${text}\n`);
}
process.exit(0);
