/** From the acknowledged apply of a TrainingJob to the first line of user code, with the environment already on the node. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, TestAthanor } from '../test/athanor.ts';
import { type Bench, percentile } from './measure.ts';

const RUNS = 10;

/** The first line prints its own time; the machine has one clock. */
export const bench: Bench = async () => {
  const athanor = new TestAthanor();
  await athanor.up();
  const code = join(athanor.home, 'code');
  mkdirSync(code);
  writeFileSync(join(code, 'main.py'), 'import time\nprint("began", time.time(), flush=True)\n');
  const { digest } = await athanor.ask<{ digest: string }>('push', code);
  const delaysMs: number[] = [];
  for (let run = 0; run <= RUNS; run++) {
    const name = `first-line-${run}`;
    const manifest = `apiVersion: athanor.dev/v1alpha1\nkind: TrainingJob\nmetadata: { name: ${name} }\nspec: { code: { digest: '${digest}' }, command: [python, main.py] }\n`;
    await athanor.runWithInput(manifest, 'apply', '-f', '-');
    const appliedMs = Date.now();
    const beganSeconds = await eventually(`the first line of ${name}`, async () => {
      const { stdout } = await athanor.run('logs', `tj/${name}`);
      return /began ([\d.]+)/.exec(stdout)?.[1];
    });
    if (run > 0) delaysMs.push(Number(beganSeconds) * 1000 - appliedMs);
  }
  await athanor.close();
  return [
    {
      what: 'apply acknowledged to first line, median',
      value: percentile(delaysMs, 0.5) / 1000,
      unit: 's',
      target: '<= 2 s',
    },
    { what: 'apply acknowledged to first line, worst of 10', value: percentile(delaysMs, 1) / 1000, unit: 's' },
  ];
};
