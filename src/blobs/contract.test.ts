/** The folder keeps what a blob store promises; test/s3-blobs.test.ts asks the same of an S3-compatible server. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { isStatusError } from '../kube/status-error.ts';
import { openBlobStore } from './open-blob-store.ts';
import { testContract } from './test-contract.ts';

const folder = mkdtempSync(join(tmpdir(), 'athanor-blobs-'));
after(() => rmSync(folder, { recursive: true, force: true }));

testContract('a folder', () => openBlobStore(pathToFileURL(join(folder, 'store')).href));

const badUrls: Record<string, { readonly url: string; readonly want: RegExp }> = {
  'a scheme that is not supported': {
    url: 'gs://bucket',
    want: /cannot open the blob store gs:\/\/bucket: only file:/,
  },
  'what is no URL': { url: 'not a url', want: /only file:\/\/\// },
  'S3 without a bucket': { url: 's3:///prefix', want: /it names no bucket, use s3:\/\/bucket\/prefix\?endpoint=/ },
  'S3 with a parameter that is none': { url: 's3://b?endpont=x', want: /it has no parameter endpont/ },
  'S3 with an endpoint that is no URL': { url: 's3://b?endpoint=127.0.0.1:9000', want: /is no http or https URL/ },
  'S3 with a style that is none': { url: 's3://b?pathStyle=yes', want: /pathStyle is 'yes', use true or false/ },
  'S3 with credentials in it': { url: 's3://key:secret@b', want: /^((?!secret@).)*AWS_ACCESS_KEY_ID/s },
  'S3 that nobody answers': { url: 's3://b?endpoint=http://127.0.0.1:1', want: /the store cannot be reached/ },
};

for (const [sentence, { url, want }] of Object.entries(badUrls)) {
  test(`openBlobStore() refuses ${sentence}`, async () => {
    await assert.rejects(openBlobStore(url), (error) => {
      assert.ok(isStatusError(error, 'BadRequest') || isStatusError(error, 'ServiceUnavailable'));
      assert.match(String(error), want);
      return true;
    });
  });
}
