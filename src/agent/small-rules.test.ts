/** Tables of the agent's small rules: images, addresses, hosts, probes, paths, quality of service, control groups. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import type { Pod } from '../kube/pod.ts';
import { createCgroup, parseCgroupParents } from './cgroup.ts';
import { findBundle, planCommand } from './find-bundle.ts';
import { formatHosts } from './hosts-file.ts';
import { allocateAddress } from './pod-address.ts';
import { countProbe, NEW_PROBE } from './probe-state.ts';
import { qosClassOf } from './qos-class.ts';
import { rewritePaths } from './rewrite-paths.ts';
import { withTokenVolume } from './token-volume.ts';

function podOf(name: string, more: Partial<Pod['spec']> = {}): Pod {
  const metadata = { name, namespace: 'ns', uid: name };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [{ name: 'c', image: 'x' }], ...more } };
}

test('findBundle() prefers the whole name', () => {
  const bundles = {
    python: { command: ['a'] },
    'python:3.12': { command: ['b'] },
    'reg:5000/team/app': { command: ['c'] },
  };
  const CASES = {
    'python:3.12': 'b',
    'python:3.9': 'a',
    python: 'a',
    'reg:5000/team/app:v1@sha256:00': 'c',
    app: undefined,
  };
  for (const [image, want] of Object.entries(CASES))
    assert.equal(findBundle(image, bundles)?.command?.[0], want, image);
});

test('planCommand() follows Docker: command replaces, args append', () => {
  const bundle = { command: ['entry', 'point'] };
  assert.deepEqual(planCommand({ name: 'c', image: 'x', args: ['1'] }, bundle), ['entry', 'point', '1']);
  assert.deepEqual(planCommand({ name: 'c', image: 'x', command: ['own'], args: ['1'] }, bundle), ['own', '1']);
});

test('allocateAddress() keeps clear of 127.0.0.0/16 and of addresses in use', () => {
  const used = new Set<string>();
  for (let index = 0; index < 500; index++) used.add(allocateAddress(`uid-${index % 7}`, used));
  assert.equal(used.size, 500);
  for (const address of used) assert.match(address, /^127\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.\d+\.\d+$/);
});

test('formatHosts() names the pod and the pods of its subdomain', () => {
  const self = { pod: podOf('a', { subdomain: 'gang' }), ip: '127.64.0.1' };
  const peer = { pod: podOf('b', { subdomain: 'gang', hostname: 'rank-1' }), ip: '127.64.0.2' };
  const text = formatHosts(self, [self, peer, { pod: podOf('c'), ip: '127.64.0.3' }]);
  assert.match(text, /^127\.64\.0\.1\ta\.gang\.ns\.svc\.cluster\.local a\.gang\.ns\.svc a\.gang\.ns a\.gang a$/m);
  assert.match(text, /^127\.64\.0\.2\trank-1\.gang\.ns\.svc\.cluster\.local .* rank-1$/m);
  assert.doesNotMatch(text, /127\.64\.0\.3/);
});

test('countProbe() counts to its thresholds', () => {
  const probe = { successThreshold: 2, failureThreshold: 2 };
  const verdictOf = (results: string) =>
    [...results].reduce((state, result) => countProbe(state, result === '+', probe), NEW_PROBE).verdict;
  const CASES = {
    '+': 'unknown',
    '++': 'success',
    '-': 'unknown',
    '--': 'failure',
    '++-': 'success',
    '++--': 'failure',
    '--+': 'failure',
  };
  for (const [results, want] of Object.entries(CASES)) assert.equal(verdictOf(results), want, results);
});

test('rewritePaths() replaces whole paths only', () => {
  const mounts = [
    { target: '/data', source: '/h/1' },
    { target: '/data/deep', source: '/h/2' },
  ];
  const CASES = {
    '/data': '/h/1',
    '/data/x': '/h/1/x',
    '/data/deep/x': '/h/2/x',
    '--in=/data,/data/deep': '--in=/h/1,/h/2',
    '/database /my/data ./data': '/database /my/data ./data',
    '/data.csv': '/data.csv',
  };
  for (const [text, want] of Object.entries(CASES)) assert.equal(rewritePaths(text, mounts), want);
});

test('qosClassOf() is Kubernetes own', () => {
  const classOf = (resources: object) => qosClassOf({ containers: [{ name: 'c', image: 'x', resources }] });
  assert.equal(classOf({}), 'BestEffort');
  assert.equal(classOf({ requests: { cpu: 1 } }), 'Burstable');
  assert.equal(classOf({ limits: { cpu: 1, memory: '1Gi' }, requests: { cpu: '1000m' } }), 'Guaranteed');
});

test('withTokenVolume() adds a token, unless it is there or not wanted', () => {
  assert.equal(withTokenVolume(podOf('a')).spec.volumes?.[0]?.name, 'kube-api-access');
  const unwanted = podOf('a', { automountServiceAccountToken: false });
  assert.equal(withTokenVolume(unwanted), unwanted);
});

test('parseCgroupParents() finds the agent own groups', () => {
  const v1 = parseCgroupParents(
    '4:memory:/a/b\n1:cpu,cpuacct:/\n',
    'c /m cgroup rw,memory 0 0\nc /c cgroup rw,cpu,cpuacct 0 0\n',
  );
  assert.deepEqual(v1, { version: 1, memory: '/m/a/b', cpu: '/c' });
  const v2 = parseCgroupParents('0::/user.slice\n', 'cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n');
  assert.deepEqual(v2, { version: 2, memory: '/sys/fs/cgroup/user.slice', cpu: '/sys/fs/cgroup/user.slice' });
});

test('createCgroup() writes the limits, or makes nothing', () => {
  const folder = mkdtempSync(`${tmpdir()}/athanor-cgroup-`);
  mkdirSync(`${folder}/m`);
  const limits = { memoryBytes: 1024, cpuMillis: 500 };
  assert.equal(createCgroup({ version: 2 }, 'x', limits), undefined);
  const group = createCgroup({ version: 2, memory: `${folder}/m`, cpu: `${folder}/m` }, 'x', limits);
  group?.join(7);
  const read = (name: string) => readFileSync(`${folder}/m/x/${name}`, 'utf8');
  assert.deepEqual([read('memory.max'), read('cpu.max'), read('cgroup.procs')], ['1024', '50000 100000', '7']);
  rmSync(folder, { recursive: true });
});
