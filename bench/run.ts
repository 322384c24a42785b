<<<<<<< HEAD
/** `npm run bench -- <name...>`: runs benches, prints their figures with the machine's facts, and keeps them under bench/results. */
import { globSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Bench, describeMachine, type Figure } from './measure.ts';

const FOLDER = import.meta.dirname;
const NOT_BENCHES = new Set(['run', 'measure', 'cluster']);
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
=======
/** `npm run bench -- <name...>`: runs benches one after another, prints their tables and keeps them in bench/results. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BenchResult, describeMachine, type Row } from './measure.ts';

const FOLDER = import.meta.dirname;
const RESULTS = join(FOLDER, 'results');
const NOT_BENCHES = new Set(['run.ts', 'measure.ts']);

function listBenches(): readonly string[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith('.ts') && !name.endsWith('-child.ts') && !NOT_BENCHES.has(name))
    .map((name) => name.slice(0, -'.ts'.length));
}

function formatTable(name: string, rows: readonly Row[], machine: Readonly<Record<string, string>>): string {
  const facts = Object.entries(machine).map(([fact, value]) => `${fact} ${value}`);
  return [
    `# ${name}`,
    '',
    facts.join('; '),
    '',
    '| what | measured | target | peer |',
    '| --- | --- | --- | --- |',
    ...rows.map(({ what, measured, target, peer }) => `| ${what} | ${measured} | ${target} | ${peer} |`),
>>>>>>> bench
    '',
  ].join('\n');
}

<<<<<<< HEAD
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
=======
async function run(name: string): Promise<void> {
  const machine = describeMachine();
  const { bench } = (await import(`./${name}.ts`)) as { bench: () => Promise<BenchResult> }; // why: every bench exports it
  const { rows, samples } = await bench();
  const table = formatTable(name, rows, machine);
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(join(RESULTS, `${name}.json`), `${JSON.stringify({ name, machine, rows, samples }, null, 2)}\n`);
  writeFileSync(join(RESULTS, `${name}.md`), table);
  process.stdout.write(`${table}\n`);
}

const known = listBenches();
const names = process.argv.slice(2);
const unknown = names.filter((name) => !known.includes(name));
if (names.length === 0 || unknown.length > 0) {
  process.stdout.write(`npm run bench -- <name...>, of: ${known.join(', ')}\n`);
  if (unknown.length > 0) process.exitCode = 2;
}
if (unknown.length === 0) for (const name of names) await run(name);
>>>>>>> bench
