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
    '',
  ].join('\n');
}

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
