/** The README's first command: real data, a gang, a registered model that answers; and nothing left behind. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { eventually, TestAthanor } from '../athanor.ts';

const athanor = new TestAthanor();
after(() => athanor.close());

const SCRIPT = join(import.meta.dirname, '..', '..', 'examples', 'digits', 'quickstart.ts');

test('quickstart trains a gang on real data and serves its model; a second run uses what is there', () => {
  const first = spawnSync(process.execPath, [SCRIPT, '--once'], { env: athanor.env, encoding: 'utf8' });
  assert.equal(first.status, 0, first.stdout + first.stderr);
  assert.match(first.stdout, /accuracy on 360 held-out images\s+0\.9[5-9]/);
  assert.match(first.stdout, /rank [01] won with val_accuracy/);
  assert.match(first.stdout, /the run\s+http:\/\/127\.0\.0\.1:\d+\/experiments\/1\/runs\/[0-9a-f]{32}/);
  const second = spawnSync(process.execPath, [SCRIPT, '--once'], { env: athanor.env, encoding: 'utf8' });
  assert.equal(second.status, 0, second.stdout + second.stderr);
  assert.match(second.stdout, /trainingjob\.athanor\.dev\/digits-\S+ unchanged/);
  assert.doesNotMatch(second.stdout, /Collecting/);
});

test('the service is known to be made of the model, the job and the data', async () => {
  await athanor.up();
  const text = await eventually('the lineage of the service', async () => {
    const { code, stdout } = await athanor.run('lineage', 'service/digits', '--up');
    return code === 0 && stdout.includes('dataset/digits') ? stdout : undefined;
  });
  const lines = text.split('\n').map((line) => line.trim().replace(/ \(.*/, ''));
  const [, service, serving, model, job] = lines;
  assert.deepEqual([service, serving, model], ['service/digits', 'inference-service/digits', 'model/digits']);
  assert.match(job ?? '', /^training-job\/digits-/);
  const became = await athanor.run('lineage', 'dataset/digits', '--down');
  assert.match(became.stdout, /service\/digits\n/);
});
