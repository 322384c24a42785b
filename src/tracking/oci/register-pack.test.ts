/** The same model pushed by many at once, to one server and to two on one database: it becomes one version. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { useBothDatabases } from '../../../test/both-databases.ts';
import { openFolderStore } from '../../blobs/folder-store.ts';
import type { TrackingServer } from '../server.ts';
import { startTestTracking } from '../test-tracking.ts';
import { PACK_CONFIG_TYPE, PATH_ANNOTATION } from './model-pack.ts';
import { IMAGE_MANIFEST } from './oci-manifest.ts';
import { VERSION_HEADER } from './oci-path.ts';

const PUSHES = 12;
const EVIL = "cposix\nsystem\n(S'echo athanor'\ntR.";
const { home, databases } = useBothDatabases();
const digestOf = (bytes: string) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

async function sendBlob(server: TrackingServer | undefined, name: string, bytes: string) {
  const place = `${server?.url}/v2/models/${name}/blobs/uploads/?digest=${digestOf(bytes)}`;
  assert.equal((await fetch(place, { method: 'POST', body: bytes })).status, 201);
  return { digest: digestOf(bytes), size: bytes.length };
}

/** A ModelPack of one file whose blobs are there. */
async function preparePack(server: TrackingServer | undefined, name: string, [path, bytes]: [string, string]) {
  const config = { mediaType: PACK_CONFIG_TYPE, ...(await sendBlob(server, name, '{}')) };
  const layer = {
    mediaType: 'application/vnd.cncf.model.weight.v1.raw',
    ...(await sendBlob(server, name, bytes)),
    annotations: { [PATH_ANNOTATION]: path },
  };
  return JSON.stringify({ schemaVersion: 2, mediaType: IMAGE_MANIFEST, config, layers: [layer] });
}

const pushTo = (server: TrackingServer | undefined, place: string, body: string) =>
  fetch(`${server?.url}/v2/models/${place}`, { method: 'PUT', headers: { 'content-type': IMAGE_MANIFEST }, body });

async function countVersions(server: TrackingServer | undefined, name: string): Promise<number> {
  const query = new URLSearchParams({ filter: `name = '${name}'` });
  const response = await fetch(`${server?.url}/api/2.0/mlflow/model-versions/search?${query}`);
  return ((await response.json()) as { model_versions?: object[] }).model_versions?.length ?? 0;
}

for (const [dialect, servers] of Object.entries({ SQLite: 1, PostgreSQL: 2 })) {
  describe(`pushes at once to ${servers} on ${dialect}`, () => {
    let running: readonly TrackingServer[] = [];
    const at = (index: number) => running[index % running.length];
    before(async () => {
      const database = await databases[dialect === 'SQLite' ? 'SQLite' : 'PostgreSQL']();
      running = await Promise.all(Array.from({ length: servers }, () => startTestTracking({ home, database })));
    });
    after(async () => void (await Promise.all(running.map((server) => server.close()))));
    const pushAll = (name: string, bodies: readonly string[], tagOf: (index: number) => string) =>
      Promise.all(
        Array.from({ length: PUSHES }, (_, index) =>
          pushTo(at(index), `${name}/manifests/${tagOf(index)}`, bodies[index % bodies.length] ?? ''),
        ),
      );

    test('the same manifest becomes one version, and its files are kept once', async () => {
      const name = `one-${servers}`;
      const body = await preparePack(at(0), name, ['w.txt', 'weights']);
      const store = await openFolderStore(`${home}/blobs`);
      const countFiles = async () => (await store.list('tracking/artifacts/pushed-models/', { limit: 1_000 })).length;
      const before = await countFiles();
      const answers = await pushAll(name, [body], (index) => `v${index}`);
      assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([201]));
      assert.deepEqual(new Set(answers.map(({ headers }) => headers.get(VERSION_HEADER))), new Set(['1']));
      assert.equal(await countVersions(at(1), name), 1);
      assert.equal(await countFiles(), before + 1);
      for (let index = 0; index < PUSHES; index++) {
        const pulled = await fetch(`${at(index)?.url}/v2/models/${name}/manifests/v${index}`);
        assert.equal(await pulled.text(), body);
      }
      assert.equal((await pushTo(at(0), `${name}/manifests/1`, body)).status, 201);
    });

    test('other manifests become versions of their own, and the next number is given once', async () => {
      const name = `many-${servers}`;
      const files = Array.from({ length: PUSHES }, (_, index): [string, string] => ['w.txt', `weights ${index}`]);
      const bodies = await Promise.all(files.map((file) => preparePack(at(0), name, file)));
      const numbered = await pushAll(name, bodies, () => '1');
      assert.deepEqual(numbered.map(({ status }) => status).toSorted(), [201, ...Array(PUSHES - 1).fill(400)]);
      await pushAll(name, bodies, () => 'latest');
      assert.equal(await countVersions(at(1), name), PUSHES);
    });

    test('everyone who pushes what is dangerous is told', async () => {
      const name = `evil-${servers}`;
      const body = await preparePack(at(0), name, ['model.pkl', EVIL]);
      const answers = await pushAll(name, [body], (index) => `v${index}`);
      for (const answer of answers) assert.match(await answer.text(), /version 1 of .* is in quarantine: model\.pkl/);
      assert.equal(await countVersions(at(1), name), 1);
    });
  });
}
