/** The API server's pure rules, each as a table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isStatusError } from '../kube/status-error.ts';
import { chooseForm } from './accept.ts';
import { EventRing } from './event-ring.ts';
import { ObjectIndex } from './object-index.ts';
import { parseResourcePath } from './request-path.ts';
import { formatAge } from './table.ts';

test('chooseForm() takes the first form it can give', () => {
  const forms = {
    '': 'object',
    'application/json': 'object',
    '*/*': 'object',
    'application/json;as=Table;v=v1;g=meta.k8s.io,application/json': 'table',
    'application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json': 'object',
    'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io': 'metadata',
    'application/vnd.kubernetes.protobuf,application/json': 'object',
  };
  for (const [accept, form] of Object.entries(forms)) assert.equal(chooseForm(accept), form, accept);
  assert.throws(
    () => chooseForm('text/html'),
    (error) => isStatusError(error, 'NotAcceptable'),
  );
});

test('parseResourcePath() tells resources from everything else', () => {
  const paths: Record<string, readonly [group: string, plural: string, namespace: string, name: string, sub?: string]> =
    {
      '/api/v1/pods': ['', 'pods', '', ''],
      '/api/v1/namespaces/a': ['', 'namespaces', '', 'a'],
      '/api/v1/namespaces/a/status': ['', 'namespaces', '', 'a', 'status'],
      '/api/v1/namespaces/a/pods/b/log': ['', 'pods', 'a', 'b', 'log'],
      '/apis/apps.dev/v1/namespaces/a/things': ['apps.dev', 'things', 'a', ''],
    };
  for (const [path, want] of Object.entries(paths)) {
    const { group, plural, namespace, name, subresource } = parseResourcePath(path) ?? assert.fail(path);
    assert.deepEqual([group, plural, namespace, name, subresource], [...want, ...(want.length < 5 ? [undefined] : [])]);
  }
  for (const path of ['/', '/version', '/api', '/apis/apps.dev/v1']) assert.equal(parseResourcePath(path), undefined);
});

test('formatAge() speaks as kubectl does', () => {
  const ages = {
    5: '5s',
    119: '119s',
    120: '2m',
    150: '2m30s',
    600: '10m',
    7200: '120m',
    10_800: '3h',
    16_200: '4h30m',
  };
  for (const [seconds, age] of Object.entries({ ...ages, 86_400: '24h', 200_000: '2d' }))
    assert.equal(formatAge('1970-01-01T00:00:00Z', Number(seconds) * 1000), age);
  assert.equal(formatAge(undefined, 0), '<unknown>');
});

const metadata = (name: string, owner?: string) => ({
  name,
  namespace: 'x',
  uid: `uid-${name}`,
  ...(owner !== undefined && { ownerReferences: [{ apiVersion: 'v1', kind: 'K', name: owner, uid: `uid-${owner}` }] }),
});
const object = (name: string, owner?: string) => ({ apiVersion: 'v1', kind: 'K', metadata: metadata(name, owner) });
const address = (name: string) => ({ resource: 'ks', namespace: 'x', name });

test('ObjectIndex finds objects by key, uid, owner and namespace, and forgets them whole', () => {
  const index = new ObjectIndex();
  for (const name of ['b', 'a']) index.put(address(name), object(name, 'o'));
  assert.deepEqual(
    index.list('ks', 'x').map(({ metadata }) => metadata.name),
    ['a', 'b'],
  );
  assert.equal(index.dependents('uid-o').length, 2);
  index.put(address('b'), object('b'));
  assert.equal(index.dependents('uid-o').length, 1);
  index.remove(address('a'));
  assert.deepEqual(
    [index.get(address('a')), index.findByUid('uid-a'), index.dependents('uid-o')],
    [undefined, undefined, []],
  );
  assert.deepEqual(index.namespaceContent('x'), [address('b')]);
});

test('EventRing gives what came after a version, and says when it has forgotten', () => {
  const ring = new EventRing(10);
  const event = (revision: number) =>
    ({ type: 'ADDED', revision, address: address('a'), object: object('a'), previous: undefined }) as const;
  for (let revision = 11; revision <= 30_000; revision++) ring.push(event(revision));
  assert.deepEqual(
    ring.since(29_998).map(({ revision }) => revision),
    [29_999, 30_000],
  );
  assert.ok(ring.floor > 10);
  assert.throws(
    () => ring.since(10),
    (error) => isStatusError(error, 'Expired'),
  );
  assert.equal(ring.since(ring.floor)[0]?.revision, ring.floor + 1);
});
