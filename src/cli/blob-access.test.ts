/** Credentials of the blob store: variables before the file, the named profile, and what programs do not inherit. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { findBlobAccess, findPodBlobAccess, withoutBlobAccess, withRegion } from './blob-access.ts';

const home = mkdtempSync(join(tmpdir(), 'athanor-access-'));
after(() => rmSync(home, { recursive: true, force: true }));
const path = join(home, 'credentials');
writeFileSync(
  path,
  `# mine
[default]
aws_access_key_id = first
aws_secret_access_key=a=b
[ other ]
aws_access_key_id = second
aws_secret_access_key = c
aws_session_token = d
`,
);

const cases: Record<string, { readonly env: Record<string, string>; readonly want: unknown }> = {
  'takes the variables first': {
    env: { AWS_ACCESS_KEY_ID: 'k', AWS_SECRET_ACCESS_KEY: 's', AWS_SHARED_CREDENTIALS_FILE: path },
    want: { accessKeyId: 'k', secretAccessKey: 's', sessionToken: undefined },
  },
  'takes the default profile of the file': {
    env: { AWS_SHARED_CREDENTIALS_FILE: path },
    want: { accessKeyId: 'first', secretAccessKey: 'a=b', sessionToken: undefined },
  },
  'takes the profile that is named': {
    env: { AWS_SHARED_CREDENTIALS_FILE: path, AWS_PROFILE: 'other' },
    want: { accessKeyId: 'second', secretAccessKey: 'c', sessionToken: 'd' },
  },
  'finds nobody without a file': { env: { HOME: home }, want: undefined },
  'finds nobody in a profile that is not there': {
    env: { AWS_SHARED_CREDENTIALS_FILE: path, AWS_PROFILE: 'x' },
    want: undefined,
  },
};

for (const [sentence, { env, want }] of Object.entries(cases)) {
  test(`findBlobAccess() ${sentence}`, () => assert.deepEqual(findBlobAccess(env), want));
}

test("a pod's variables are read by the platform and not inherited by its program", () => {
  const env = { ATHANOR_BLOBS_ACCESS_KEY_ID: 'k', ATHANOR_BLOBS_SECRET_ACCESS_KEY: 's', AWS_ACCESS_KEY_ID: 'own' };
  assert.deepEqual(findPodBlobAccess(env), { accessKeyId: 'k', secretAccessKey: 's', sessionToken: undefined });
  assert.deepEqual(withoutBlobAccess(env), { AWS_ACCESS_KEY_ID: 'own' });
});

test('withRegion() adds a region where the URL has none', () => {
  assert.equal(withRegion('s3://b/p', { AWS_REGION: 'eu-west-1' }), 's3://b/p?region=eu-west-1');
  assert.equal(withRegion('s3://b?region=x', { AWS_REGION: 'eu-west-1' }), 's3://b?region=x');
  assert.equal(withRegion('file:///a', { AWS_REGION: 'eu-west-1' }), 'file:///a');
});
