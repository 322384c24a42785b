/** `npm run new-kind <Name>`: writes the folder of a kind, and tells what is left to do. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [name = ''] = process.argv.slice(2);
if (!/^[A-Z][A-Za-z]+$/.test(name)) {
  process.stderr.write("error: want a kind's name, as in 'npm run new-kind TrainingJob'\n");
  process.exit(2);
}
const folder = name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase();
const path = join(import.meta.dirname, '..', 'src', 'kinds', folder);
if (existsSync(path)) {
  process.stderr.write(`error: cannot write src/kinds/${folder}: it is there already\n`);
  process.exit(1);
}
const variable = name.charAt(0).toLowerCase() + name.slice(1);

const FILES: Readonly<Record<string, string>> = {
  'kind.ts': `/** ${name}: <what it is>. Says what one is; how it comes about is in reconcile.ts. */
import { z } from 'zod';
import { defineKind } from '../../kube/kind.ts';
import { Conditions } from '../fields/status.ts';

export const ${name}Spec = z.object({
  paused: z.boolean().default(false).describe('Stop, and keep what there is.'),
});

export const ${name}Status = z.object({
  phase: z.enum(['Pending', 'Ready']).exactOptional().describe('What was observed, in one word.'),
  conditions: Conditions.exactOptional(),
});

export type ${name}Spec = z.infer<typeof ${name}Spec>;
export type ${name}Status = z.infer<typeof ${name}Status>;

export const ${variable} = defineKind({
  kind: '${name}',
  scope: 'Namespaced',
  description: '<What it is, in a sentence.>',
  spec: ${name}Spec,
  status: ${name}Status,
  columns: { Phase: '.status.phase' },
  conditions: { Ready: '<What it means that it is ready.>' },
  owns: [],
});
`,
  'reconcile.ts': `/** Decides what a ${name} should have now. Pure: it neither starts nor stops anything. */
import { mergeConditions } from '../../kube/condition.ts';
import type { Outcome, World } from '../../kube/kind.ts';
import type { ObjectOf } from '../../kube/object.ts';
import type { ${name}Spec, ${name}Status } from './kind.ts';

/** <When it is what.> */
export function reconcile(${variable}: ObjectOf<${name}Spec, ${name}Status>, world: World): Outcome<${name}Status> {
  const phase = ${variable}.spec.paused ? 'Pending' : 'Ready';
  const ready = { type: 'Ready', status: phase === 'Ready' ? ('True' as const) : ('False' as const), reason: phase };
  const conditions = [...mergeConditions(${variable}.status?.conditions, [ready], world.nowMs)];
  return { children: [], status: { phase, conditions } };
}
`,
  'reconcile.test.ts': `/** What a ${name} wants in each state of the world. The cases are data; \`check\` alone touches the code under test. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { World } from '../../kube/kind.ts';
import { ${name}Spec, type ${name}Status } from './kind.ts';
import { reconcile } from './reconcile.ts';

interface Case {
  readonly spec?: Partial<${name}Spec>;
  readonly wantPhase: ${name}Status['phase'];
}

const cases: Record<string, Case> = {
  'is ready at once': { wantPhase: 'Ready' },
  'waits while it is paused': { spec: { paused: true }, wantPhase: 'Pending' },
};

for (const [sentence, want] of Object.entries(cases)) test(\`reconcile() \${sentence}\`, () => check(want));

function check({ spec = {}, wantPhase }: Case): void {
  const settings = { trackingUrl: 'http://127.0.0.1:1', blobsUrl: 'file:///blobs', nodeCachePath: '/cache' };
  const world: World = { nowMs: 0, settings, owned: () => [], find: () => undefined };
  const object = { apiVersion: 'athanor.dev/v1alpha1', kind: '${name}', metadata: { name: 'x', namespace: 'team' }, spec: ${name}Spec.parse(spec) };
  assert.equal(reconcile(object, world).status.phase, wantPhase);
}
`,
  'example.yaml': `apiVersion: athanor.dev/v1alpha1\nkind: ${name}\nmetadata:\n  name: example\nspec: {}\n`,
};

mkdirSync(path);
for (const [file, text] of Object.entries(FILES)) writeFileSync(join(path, file), text);
process.stdout.write(`wrote src/kinds/${folder}
now add to src/kinds/list.ts:
  import { ${variable} } from './${folder}/kind.ts';
  import { reconcile as reconcile${name} } from './${folder}/reconcile.ts';
  { kind: ${variable}, reconcile: reconcile${name} },
then run 'npm run generate' and 'npm run check'
`);
