/** Tables of mounts and the script lines they give, on a made-up host. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FolderEntry, type Mount, planMounts } from './plan-mounts.ts';

const folder = (name: string): FolderEntry => ({ name, type: 'folder' });
const HOST: Readonly<Record<string, readonly FolderEntry[]>> = {
  '/': [folder('etc'), folder('home'), folder('tmp'), folder('var'), { name: 'bin', type: 'link', target: 'usr/bin' }],
  '/etc': [{ name: 'hosts', type: 'file' }],
  '/var': [{ name: 'run', type: 'link', target: '/run' }],
  '/home': [folder('me')],
  '/home/me': [folder('.athanor')],
};
const ROOT = [
  "cover '/'",
  "folder '/etc'",
  "folder '/home'",
  "folder '/tmp'",
  "folder '/var'",
  "link '/bin' 'usr/bin'",
  'own_proc',
];

function mount(target: string, more: Partial<Mount> = {}): Mount {
  return { target, source: '/s', type: 'folder', readOnly: false, ...more };
}

const CASES: Record<string, { mounts: Mount[]; hidden?: string[]; want: string[] }> = {
  'a path that exists is mounted over': { mounts: [mount('/tmp')], want: ["bind '/s' '/tmp'"] },
  'missing ancestors are made in the root, which is ours': {
    mounts: [mount('/workspace/data')],
    want: ['mkdir "$R"\'/workspace\'', 'mkdir "$R"\'/workspace/data\'', "bind '/s' '/workspace/data'"],
  },
  'a folder that lacks the path is covered first': {
    mounts: [mount('/home/data')],
    want: ["cover '/home'", "folder '/home/me'", 'mkdir "$R"\'/home/data\'', "bind '/s' '/home/data'"],
  },
  'links on the way are followed': {
    mounts: [mount('/var/run/secrets', { readOnly: true })],
    want: ['mkdir "$R"\'/run\'', 'mkdir "$R"\'/run/secrets\'', "bind '/s' '/run/secrets'", "seal '/run/secrets'"],
  },
  'a mount inside another is made in its volume': {
    mounts: [mount('/tmp/in/ner'), mount('/tmp', { source: '/t' })],
    want: ["bind '/t' '/tmp'", 'mkdir -p "$R"\'/tmp/in\'', 'mkdir -p "$R"\'/tmp/in/ner\'', "bind '/s' '/tmp/in/ner'"],
  },
  'a file is mounted over a file': {
    mounts: [mount('/etc/hosts', { type: 'file' })],
    want: ["bind '/s' '/etc/hosts'"],
  },
  'hidden folders are empty, and can be mounted into': {
    mounts: [mount('/home/me/.athanor/cache')],
    hidden: ['/home/me/.athanor', '/nowhere'],
    want: ["cover '/home/me/.athanor'", 'mkdir "$R"\'/home/me/.athanor/cache\'', "bind '/s' '/home/me/.athanor/cache'"],
  },
  'paths are quoted': {
    mounts: [mount("/a'b $(c)", { source: '/x y' })],
    want: ["mkdir \"$R\"'/a'\\''b $(c)'", "bind '/x y' '/a'\\''b $(c)'"],
  },
};

for (const [name, { mounts, hidden = [], want }] of Object.entries(CASES)) {
  test(`planMounts(): ${name}`, () => {
    assert.deepEqual(planMounts({ mounts, hidden, list: (path) => HOST[path] }), [...ROOT, ...want]);
  });
}

test('planMounts() refuses a folder where a file stands', () => {
  const request = { mounts: [mount('/etc/hosts/below')], hidden: [], list: (path: string) => HOST[path] };
  assert.throws(() => planMounts(request), /cannot mount a folder at \/etc\/hosts: there is a file/);
});
