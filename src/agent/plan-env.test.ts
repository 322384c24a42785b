/** Tables of env entries and the values they get. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Container, EnvVar, Pod } from '../kube/pod.ts';
import { expandVariables } from './expand-variables.ts';
import { planEnv } from './plan-env.ts';

const container = { name: 'c', image: 'x', resources: { limits: { cpu: '1500m', memory: '1Mi' } } };
const metadata = { name: 'p', namespace: 'ns', uid: 'u', labels: { x: 'lx' }, annotations: { 'a/b': 'ab' } };
const pod: Pod = { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [container] } };
const facts = { nodeName: 'n', podIp: '127.64.0.9', hostIp: '127.0.0.1', cpuMillis: 4000, memoryBytes: 1024 };
const values = new Map([['key', 'value']]);
const sources = {
  configMap: (name: string) => (name === 'known' ? values : undefined),
  secret: (name: string) => (name === 'known' ? values : undefined),
};

function envOf(more: Partial<Container>): Record<string, string> {
  return Object.fromEntries(
    planEnv({ pod, container: { ...container, ...more }, facts, sources, base: { PATH: '/bin' } }),
  );
}

const field = (fieldPath: string): EnvVar => ({ name: 'V', valueFrom: { fieldRef: { fieldPath } } });
const resource = (name: string): EnvVar => ({ name: 'V', valueFrom: { resourceFieldRef: { resource: name } } });

const VALUES: Record<string, [EnvVar, string]> = {
  'a literal with what came before it': [{ name: 'V', value: '$(PATH):$(NONE):$$(PATH)' }, '/bin:$(NONE):$(PATH)'],
  'the name': [field('metadata.name'), 'p'],
  'a label': [field("metadata.labels['x']"), 'lx'],
  'an annotation': [field("metadata.annotations['a/b']"), 'ab'],
  'the node': [field('spec.nodeName'), 'n'],
  'the account': [field('spec.serviceAccountName'), 'default'],
  'the address': [field('status.podIP'), '127.64.0.9'],
  'a cpu limit, in whole cores': [resource('limits.cpu'), '2'],
  'a memory limit, in bytes': [resource('limits.memory'), '1048576'],
  'a request, which is the limit where there is none': [resource('requests.memory'), '1048576'],
  'a key of a config map': [{ name: 'V', valueFrom: { configMapKeyRef: { name: 'known', key: 'key' } } }, 'value'],
  'a key of a secret': [{ name: 'V', valueFrom: { secretKeyRef: { name: 'known', key: 'key' } } }, 'value'],
};

for (const [name, [variable, want]] of Object.entries(VALUES)) {
  test(`planEnv() gives ${name}`, () => assert.equal(envOf({ env: [variable] }).V, want));
}

const REFUSED: Record<string, [EnvVar, RegExp]> = {
  'a field that is not known': [field('spec.secrets'), /unsupported fieldPath: spec.secrets/],
  'a missing config map': [
    { name: 'V', valueFrom: { configMapKeyRef: { name: 'lost', key: 'key' } } },
    /configmap "lost" not found/,
  ],
  'a missing key': [
    { name: 'V', valueFrom: { secretKeyRef: { name: 'known', key: 'lost' } } },
    /couldn't find key lost in Secret known/,
  ],
};

for (const [name, [variable, want]] of Object.entries(REFUSED)) {
  test(`planEnv() refuses ${name}`, () => assert.throws(() => envOf({ env: [variable] }), want));
}

test('planEnv() leaves out what is optional and missing, and puts prefixes before names', () => {
  const env = [{ name: 'V', valueFrom: { configMapKeyRef: { name: 'lost', key: 'key', optional: true } } }];
  const envFrom = [{ prefix: 'P_', configMapRef: { name: 'known' } }, { secretRef: { name: 'lost', optional: true } }];
  assert.deepEqual(envOf({ env, envFrom }), { PATH: '/bin', P_key: 'value' });
});

test('expandVariables() leaves odd dollars alone', () => {
  assert.equal(expandVariables('$ $( $(A $$$(A)', new Map([['A', '1']])), '$ $( $(A $1');
});
