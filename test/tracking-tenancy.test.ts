/** Tracking's workspaces with the API server's own tokens and roles: who may work where, and that nobody sees more. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { askAccessReview, askTokenReview } from '../src/cli/ask-token.ts';
import type { StoredObject } from '../src/kube/object.ts';
import { WELL_KNOWN } from '../src/kube/well-known.ts';
import type { TrackingServer } from '../src/tracking/server.ts';
import { startTestTracking } from '../src/tracking/test-tracking.ts';
import { startCluster, type TestCluster } from './cluster.ts';

const RBAC = 'rbac.authorization.k8s.io';
const kindOf = (plural: string, kind: string) =>
  ({ group: RBAC, version: 'v1', plural, kind, scope: 'Namespaced' }) as const;
const home = mkdtempSync(join(tmpdir(), 'athanor-tenancy-'));
let cluster: TestCluster;
let tracking: TrackingServer;
const tokens: Record<string, string> = {};

before(async () => {
  cluster = await startCluster();
  const { client } = cluster;
  const authenticate = askTokenReview(client);
  const authorize = askAccessReview(client);
  tracking = await startTestTracking({ home, database: { path: ':memory:' }, authenticate, authorize });
  for (const namespace of ['red', 'blue']) {
    await client.create<StoredObject>(WELL_KNOWN.Namespace, {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace },
    });
    tokens[namespace] = await createAccount(namespace);
  }
  await client.create<StoredObject>(kindOf('roles', 'Role'), {
    apiVersion: `${RBAC}/v1`,
    kind: 'Role',
    metadata: { name: 'reader', namespace: 'blue' },
    rules: [{ apiGroups: ['athanor.dev'], resources: ['runs'], verbs: ['get'] }],
  });
  await client.create<StoredObject>(kindOf('rolebindings', 'RoleBinding'), {
    apiVersion: `${RBAC}/v1`,
    kind: 'RoleBinding',
    metadata: { name: 'red-reads', namespace: 'blue' },
    roleRef: { apiGroup: RBAC, kind: 'Role', name: 'reader' },
    subjects: [{ kind: 'ServiceAccount', name: 'worker', namespace: 'red' }],
  });
});
after(async () => {
  await tracking.close();
  await cluster.close();
  rmSync(home, { recursive: true, force: true });
});

async function createAccount(namespace: string): Promise<string> {
  const metadata = { name: 'worker', namespace };
  await cluster.client.create<StoredObject>(WELL_KNOWN.ServiceAccount, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata,
  });
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/worker/token`;
  const asked = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
  return (await cluster.client.request<{ status: { token: string } }>('POST', path, asked)).status.token;
}

interface Who {
  readonly token?: string | undefined;
  readonly workspace?: string;
}

async function send(who: Who, place: string, body?: object) {
  const [method = '', path = ''] = place.split(' ');
  const response = await fetch(`${tracking.url}/api/2.0/${path}`, {
    method,
    headers: {
      ...(who.token !== undefined && { authorization: `Bearer ${who.token}` }),
      ...(who.workspace !== undefined && { 'x-mlflow-workspace': who.workspace }),
    },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, text, answer: JSON.parse(text || '{}') as Record<string, Record<string, unknown>> };
}

const red = () => ({ token: tokens['red'] });
const blue = () => ({ token: tokens['blue'] });

test('a service account works in its own namespace without naming it', async () => {
  const made = await send(red(), 'POST mlflow/experiments/create', { name: 'shared name' });
  assert.equal(made.status, 200, made.text);
  const { answer } = await send(red(), 'GET mlflow/experiments/get-by-name?experiment_name=shared%20name');
  assert.equal(answer['experiment']?.['workspace'], 'red');
});

test('names are one\u2019s own within a workspace', async () => {
  const { status } = await send(blue(), 'POST mlflow/experiments/create', { name: 'shared name' });
  assert.equal(status, 200);
  assert.equal((await send(blue(), 'POST mlflow/registered-models/create', { name: 'm' })).status, 200);
  assert.equal((await send(red(), 'POST mlflow/registered-models/create', { name: 'm' })).status, 200);
});

test('experiment 0 is each workspace\u2019s own', async () => {
  const start = { experiment_id: '0', run_name: 'first', user_id: 'u', start_time: 1 };
  const made = await send(red(), 'POST mlflow/runs/create', start);
  assert.equal(made.status, 200, made.text);
  assert.match(made.text, /mlflow-artifacts:\/workspaces\/red\//);
  const found = await send(red(), 'POST mlflow/runs/search', { experiment_ids: ['0'] });
  assert.match(found.text, /"run_name":"first"/);
  for (const other of [blue(), {}]) {
    const seen = await send(other, 'POST mlflow/runs/search', { experiment_ids: ['0', '1', '2', '3', '4'] });
    assert.doesNotMatch(seen.text, /first/);
  }
});

test('nothing of another workspace exists', async () => {
  const { answer } = await send(red(), 'POST mlflow/runs/create', { experiment_id: '0', user_id: 'u', start_time: 1 });
  const { run_id, experiment_id } = (answer['run'] as { info: Record<string, string> }).info;
  const requests = [
    `GET mlflow/runs/get?run_id=${run_id}`,
    `GET mlflow/experiments/get?experiment_id=${experiment_id}`,
    `GET mlflow/artifacts/list?run_id=${run_id}`,
  ];
  for (const request of requests) assert.equal((await send(blue(), request)).status, 404, request);
  const writes: [string, object][] = [
    ['POST mlflow/runs/log-metric', { run_id, key: 'm', value: 1, timestamp: 1 }],
    ['POST mlflow/runs/update', { run_id, status: 'FAILED' }],
    ['POST mlflow/runs/delete', { run_id }],
    ['POST mlflow/experiments/delete', { experiment_id }],
    ['POST mlflow/experiments/update', { experiment_id, new_name: 'stolen' }],
    ['POST mlflow/runs/create', { experiment_id, user_id: 'u', start_time: 1 }],
  ];
  for (const [request, body] of writes) assert.equal((await send(blue(), request, body)).status, 404, request);
  assert.equal((await send(red(), `GET mlflow/runs/get?run_id=${run_id}`)).status, 200);
});

test('files of another workspace cannot be reached', async () => {
  const place = 'mlflow-artifacts/artifacts/workspaces/red/secret.txt';
  assert.equal((await send(red(), `PUT ${place}`, { a: 1 })).status, 200);
  for (const method of ['GET', 'PUT', 'DELETE']) {
    assert.equal((await send(blue(), `${method} ${place}`)).status, 403, method);
    assert.equal((await send(blue(), `${method} mlflow-artifacts/artifacts/1/x.txt`)).status, 403, method);
  }
  assert.equal((await send({}, `GET ${place}`)).status, 403);
  assert.match((await send(red(), `GET ${place}`)).text, /"a":1/);
});

test('a role lets others read and not write', async () => {
  const inBlue = { ...red(), workspace: 'blue' };
  assert.equal((await send(inBlue, 'POST mlflow/experiments/search', { max_results: 10 })).status, 200);
  const refused = await send(inBlue, 'POST mlflow/experiments/create', { name: 'x' });
  assert.equal(refused.status, 403);
  // Files may have any name, that of a question among them.
  for (const place of [
    'PUT mlflow-artifacts/artifacts/workspaces/blue/search',
    'DELETE mlflow-artifacts/artifacts/workspaces/blue/search',
    'POST mlflow-artifacts/mpu/create/workspaces/blue/search',
  ])
    assert.equal((await send(inBlue, place, { path: 'search' })).status, 403, place);
  assert.match(refused.text, /PERMISSION_DENIED.*system:serviceaccount:red:worker may not update runs.athanor.dev/);
  assert.equal(
    (await send({ ...blue(), workspace: 'red' }, 'POST mlflow/experiments/search', { max_results: 10 })).status,
    403,
  );
  assert.equal((await send({ ...blue(), workspace: 'default' }, 'POST mlflow/experiments/search', {})).status, 403);
});

test('the owner works in every workspace, and a name that no namespace has is refused', async () => {
  const found = await send({ workspace: 'red' }, 'GET mlflow/experiments/get-by-name?experiment_name=shared%20name');
  assert.equal(found.answer['experiment']?.['workspace'], 'red');
  const { status, text } = await send({ workspace: '../red' }, 'POST mlflow/experiments/search', {});
  assert.equal(status, 400);
  assert.match(text, /Workspace name '..\/red' must match the pattern/);
});

test('no program takes a model out of quarantine', async () => {
  const place = `${tracking.url}/api/athanor/v1/models/m/versions/1/accept`;
  const headers = { authorization: `Bearer ${tokens['red']}` };
  const response = await fetch(place, { method: 'POST', headers, body: '{"reason":"mine"}' });
  assert.equal(response.status, 403);
  assert.match(await response.text(), /is a program, a person has to do it/);
});

test('a token that nobody gave is refused', async () => {
  assert.equal((await send({ token: 'wrong' }, 'POST mlflow/experiments/search', {})).status, 401);
});
