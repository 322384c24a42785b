/** What people do all day: run a script, a folder, a repository; several pods that meet; data in, outputs out. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { TestAthanor } from '../athanor.ts';

const athanor = new TestAthanor();
const folder = mkdtempSync(join(tmpdir(), 'athanor-jobs-'));
before(() => athanor.up());
after(async () => {
  await athanor.close();
  rmSync(folder, { recursive: true, force: true });
});

function write(name: string, text: string): string {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
  return path;
}

test('run streams the log and exits with the code of the script', async () => {
  const good = await athanor.run('run', write('good.py', 'import sys\nprint("got", sys.argv[1:])\n'), 'a', '--flag');
  assert.equal(good.code, 0, good.stderr);
  assert.match(good.stdout, /^got \['a', '--flag'\]$/m);
  const bad = await athanor.run('run', write('bad.py', 'import sys\nprint("so far")\nsys.exit(7)\n'));
  assert.equal(bad.code, 7);
  assert.match(bad.stdout, /^so far$/m);
});

test('a gang of three meets by name, and each pod knows its rank', async () => {
  const script = write(
    'gang.py',
    `
import os, socket, time
rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
place = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
if rank == 0:
    server = socket.create_server((socket.gethostbyname(place[0]), place[1]))
    got = sorted(server.accept()[0].recv(10).decode() for _ in range(size - 1))
    print("met", got)
else:
    for _ in range(200):
        try:
            with socket.create_connection(place) as connection:
                connection.sendall(str(rank).encode())
                break
        except OSError:
            time.sleep(0.05)
    else:
        raise SystemExit("nobody at " + place[0])
`,
  );
  const { code, stdout, stderr } = await athanor.run('run', '--replicas', '3', script);
  assert.equal(code, 0, stdout + stderr);
  assert.match(stdout, /^met \['1', '2'\]$/m);
});

test('a folder becomes a data set, is read by a job but not written, and outputs come out', async () => {
  write('numbers/a.txt', '1\n2\n');
  write('numbers/deep/b.txt', '3\n');
  const dataset = `apiVersion: athanor.dev/v1alpha1\nkind: Dataset\nmetadata: { name: numbers }\nspec: { source: { folder: { path: ${join(folder, 'numbers')} } } }\n`;
  assert.equal((await athanor.runWithInput(dataset, 'apply', '-f', '-')).code, 0);
  const waited = await athanor.run('wait', 'ds/numbers');
  assert.equal(waited.code, 0, waited.stderr);
  const script = write(
    'sum.py',
    `
from pathlib import Path
files = sorted(Path("/data/numbers").rglob("*.txt"))
total = sum(int(line) for file in files for line in file.read_text().split())
Path("/outputs/total.txt").write_text(str(total))
try:
    Path("/data/numbers/new.txt").write_text("no")
    print("written")
except OSError as error:
    print("refused", error.strerror)
`,
  );
  const { code, stdout, stderr } = await athanor.run(
    'run',
    '--name',
    'sum',
    '--dataset',
    'numbers',
    '--outputs',
    '/outputs',
    script,
  );
  assert.equal(code, 0, stdout + stderr);
  assert.match(stdout, /^refused Read-only file system$/m);
  const { status } = await athanor.ask<{ status: { outputs: { digest: string }; datasets: unknown } }>(
    'get',
    'tj',
    'sum',
  );
  const target = join(folder, 'out');
  assert.equal((await athanor.run('pull', status.outputs.digest, target)).code, 0);
  assert.equal(readFileSync(join(target, 'total.txt'), 'utf8'), '6');
  const { status: data } = await athanor.ask<{ status: { digest: string; files: number } }>('get', 'ds', 'numbers');
  assert.equal(data.files, 2);
  assert.deepEqual(status.datasets, [{ name: 'numbers', digest: data.digest }]);
});

test('a changed folder makes a new version, and the old one stays readable', async () => {
  write('letters/a.txt', 'a');
  const manifest = (description: string, path: string) =>
    `apiVersion: athanor.dev/v1alpha1\nkind: Dataset\nmetadata: { name: letters }\nspec: { description: ${description}, source: { folder: { path: ${path} } } }\n`;
  await athanor.runWithInput(manifest('one', join(folder, 'letters')), 'apply', '-f', '-');
  await athanor.run('wait', 'ds/letters');
  const { status: first } = await athanor.ask<{ status: { digest: string } }>('get', 'ds', 'letters');
  write('letters-2/b.txt', 'b');
  await athanor.runWithInput(manifest('two', join(folder, 'letters-2')), 'apply', '-f', '-');
  await athanor.run('wait', 'ds/letters');
  const { status: second } = await athanor.ask<{ status: { digest: string; versions: { digest: string }[] } }>(
    'get',
    'ds',
    'letters',
  );
  assert.notEqual(second.digest, first.digest);
  assert.deepEqual(
    second.versions.map(({ digest }) => digest),
    [first.digest, second.digest],
  );
  assert.equal((await athanor.run('pull', first.digest, join(folder, 'old-letters'))).code, 0);
});

test('a git repository is packed at one commit and runs', async () => {
  const repository = join(folder, 'repository');
  mkdirSync(repository);
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', repository, '-c', 'user.name=t', '-c', 'user.email=t@t', ...args], { encoding: 'utf8' });
  git('init', '--quiet');
  writeFileSync(join(repository, 'main.py'), 'print("from git")\n');
  git('add', '.');
  git('commit', '--quiet', '-m', 'one');
  const commit = git('rev-parse', 'HEAD').trim();
  const { code, stdout, stderr } = await serveRepository(repository, (url) =>
    athanor.run('run', '--name', 'from-git', `git+${url}`),
  );
  assert.equal(code, 0, stdout + stderr);
  assert.match(stdout, /^from git$/m);
  const { status } = await athanor.ask<{ status: { code: { commit: string } } }>('get', 'tj', 'from-git');
  assert.equal(status.code.commit, commit);
});

/** Git's own daemon on loopback, since pods do not see this machine's /tmp. */
async function serveRepository<T>(repository: string, work: (url: string) => Promise<T>): Promise<T> {
  const { startGitDaemon } = await import('../git-daemon.ts');
  const daemon = await startGitDaemon(repository);
  try {
    return await work(daemon.url);
  } finally {
    await daemon.close();
  }
}

test('a failed attempt is started again within the limit', async () => {
  const script = write('flaky.py', 'import os, sys\nsys.exit(0 if "-r1" in os.environ["POD_NAME"] else 3)\n');
  const { code, stderr } = await athanor.run('run', '--name', 'flaky', '--restart-limit', '1', script);
  assert.equal(code, 0, stderr);
  const { status } = await athanor.ask<{ status: { restarts: number; attempt: number } }>('get', 'tj', 'flaky');
  assert.deepEqual({ restarts: status.restarts, attempt: status.attempt }, { restarts: 1, attempt: 1 });
});

test('every listing prints json, yaml and names', async () => {
  for (const format of ['json', 'yaml', 'name', 'wide']) {
    const { code, stdout } = await athanor.run('get', 'tj', '-o', format);
    assert.equal(code, 0);
    assert.match(stdout, /flaky/);
  }
});
