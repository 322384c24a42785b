/** Real virtual environments with real pip, from a folder of wheels: no registry is asked. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, test } from 'node:test';
import { isStatusError } from '../kube/status-error.ts';
import { type EnvironmentRequest, prepareEnvironment } from './prepare-environment.ts';
import { findProgram } from './run-program.ts';

const home = mkdtempSync(join(tmpdir(), 'athanor-prepare-'));
const wheels = join(home, 'wheels');
const env = { ...process.env, PIP_NO_INDEX: '1', PIP_FIND_LINKS: wheels, UV_NO_INDEX: '1', UV_FIND_LINKS: wheels };
after(() => rmSync(home, { recursive: true, force: true }));

/** A wheel is a zip file with one module and three files about it. */
const MAKE_WHEEL = `
import sys, zipfile
folder, name = sys.argv[1:]
about = f'{name}-1.0.dist-info'
with zipfile.ZipFile(f'{folder}/{name}-1.0-py3-none-any.whl', 'w') as wheel:
    wheel.writestr(f'{name}.py', 'answer = 42\\n')
    wheel.writestr(f'{about}/METADATA', f'Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n')
    wheel.writestr(f'{about}/WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr(f'{about}/RECORD', f'{name}.py,,\\n{about}/METADATA,,\\n{about}/WHEEL,,\\n{about}/RECORD,,\\n')
`;

before(() => {
  mkdirSync(wheels);
  execFileSync('python3', ['-c', MAKE_WHEEL, wheels, 'athanor_tiny']);
});

async function prepare(name: string, request: Partial<EnvironmentRequest> = {}, path = process.env['PATH']) {
  const said: string[] = [];
  const target = join(home, 'cache', name);
  await prepareEnvironment({
    target,
    request: { python: '3', packages: ['athanor-tiny==1.0'], ...request },
    env: { ...env, PATH: path },
    say: (line) => said.push(line),
  });
  return { target, said };
}

const builds = (said: readonly string[]) => said.filter((line) => line.startsWith('building ')).length;

test('prepareEnvironment() builds once what several ask for at once, and nothing the next time', async () => {
  const all = await Promise.all(Array.from({ length: 3 }, () => prepare('shared')));
  assert.equal(builds(all.flatMap(({ said }) => said)), 1);
  assert.equal(all.flatMap(({ said }) => said).filter((line) => line.startsWith('waiting for another pod')).length, 2);
  const python = join(all[0]?.target ?? '', 'bin', 'python');
  assert.equal(execFileSync(python, ['-c', 'import athanor_tiny; print(athanor_tiny.answer)']).toString(), '42\n');
  assert.deepEqual((await prepare('shared')).said, []);
});

test("prepareEnvironment() refuses a missing package with the installer's last lines, and leaves nothing", async () => {
  const packages = ['athanor-no-such-package==9'];
  await assert.rejects(prepare('missing', { packages }), (error) => {
    assert.ok(isStatusError(error, 'Invalid'), String(error));
    assert.match(error.message, /^cannot install athanor-no-such-package==9:\n/);
    assert.match(error.message, /No matching distribution found|not found in the provided package locations/);
    return true;
  });
  assert.ok(!existsSync(join(home, 'cache', 'missing')));
  assert.equal(builds((await prepare('missing')).said), 1);
});

test('prepareEnvironment() takes a package that looks like an option for a package', async () => {
  await assert.rejects(prepare('option', { packages: ['--index-url=http://127.0.0.1:1'] }), { reason: 'Invalid' });
});

test('prepareEnvironment() builds again what an earlier try left half built', async () => {
  const left = join(home, 'cache', 'half');
  mkdirSync(join(left, 'bin'), { recursive: true });
  writeFileSync(join(left, 'stale'), '');
  writeFileSync(`${left}.lock`, '');
  const { said } = await prepare('half', { packages: [] });
  assert.equal(builds(said), 1);
  assert.ok(!existsSync(join(left, 'stale')));
});

test('prepareEnvironment() builds again what lost its interpreter', async () => {
  const { target } = await prepare('lost', { packages: [] });
  rmSync(join(target, 'bin', 'python'));
  assert.equal(builds((await prepare('lost', { packages: [] })).said), 1);
});

test('prepareEnvironment() builds again what has a torn marker', async () => {
  const { target } = await prepare('torn', { packages: [] });
  writeFileSync(join(target, 'athanor.json'), '{"python":');
  assert.equal(builds((await prepare('torn', { packages: [] })).said), 1);
});

test('prepareEnvironment() refuses a folder that was built for another request', async () => {
  await prepare('taken', { packages: [] });
  await assert.rejects(prepare('taken'), { reason: 'Conflict', message: /built for another request, delete it/ });
});

test('prepareEnvironment() refuses a Python that is not there', async () => {
  await assert.rejects(prepare('python', { python: '3.99' }), { reason: 'Invalid', message: /python3\.99 is not on/ });
});

test('prepareEnvironment() says what is missing when there is no venv module', async () => {
  const bin = join(home, 'bin');
  mkdirSync(bin);
  symlinkSync((await findProgram('false', process.env)) ?? '', join(bin, 'python3'));
  await assert.rejects(prepare('venv', {}, [bin, '/nowhere'].join(delimiter)), {
    reason: 'Invalid',
    message: /is its venv module installed \(Debian: apt-get install python3-venv\)\?/,
  });
});
