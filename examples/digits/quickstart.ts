/**
 * The main job, told by the command line alone: import real data, train in a gang, register, serve, ask. Running it
 * again is quick.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ensurePython } from '../../tools/ensure-python.ts';

const HERE = import.meta.dirname;
const ATHANOR = join(HERE, '..', '..', 'bin', 'athanor');
const ACCURACY_MIN = 0.95;

interface JobStatus {
  readonly status?: { readonly phase?: string; readonly outputs?: { readonly digest: string } };
}

const { values: flags } = parseArgs({ options: { once: { type: 'boolean', default: false } } });
const home = process.env['ATHANOR_HOME'] ?? join(homedir(), '.athanor');

function step(title: string): void {
  process.stdout.write(`\n==> ${title}\n`);
}

/** Runs a command that prints for people. */
function athanor(...args: string[]): void {
  const { status } = spawnSync(ATHANOR, args, { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

/** Runs a command and reads what it prints. */
function ask<T>(...args: string[]): T {
  return JSON.parse(execFileSync(ATHANOR, [...args, '-o', 'json'], { encoding: 'utf8' })) as T;
}

function apply(file: string, values: Readonly<Record<string, string>>): void {
  const text = readFileSync(join(HERE, file), 'utf8').replaceAll(/\$\{(\w+)\}/g, (_, name: string) => values[name] ?? '');
  const { status } = spawnSync(ATHANOR, ['apply', '-f', '-'], { input: text, stdio: ['pipe', 'inherit', 'inherit'] });
  if (status !== 0) process.exit(status ?? 1);
}

function up(): { readonly tracking: string; readonly gateway: string } {
  const state = () => JSON.parse(spawnSync(ATHANOR, ['status', '-o', 'json'], { encoding: 'utf8' }).stdout) as {
    running: boolean; endpoints: { tracking: string; gateway: string };
  };
  if (!state().running) athanor('up', '--detach');
  return state().endpoints;
}

function train(codeDigest: string): { readonly version: string; readonly runId: string; readonly experimentId: string } {
  const { status } = ask<{ status: { digest: string } }>('get', 'dataset', 'digits');
  const name = `digits-${codeDigest.slice(7, 13)}-${status.digest.slice(7, 13)}`;
  apply('job.yaml', { JOB_NAME: name, CODE_DIGEST: codeDigest });
  athanor('logs', '--follow', 'trainingjob', name);
  athanor('wait', 'trainingjob', name, '--for', 'Complete', '--timeout', '900');
  const job = ask<JobStatus>('get', 'trainingjob', name);
  const folder = mkdtempSync(join(tmpdir(), 'athanor-quickstart-'));
  athanor('pull', job.status?.outputs?.digest ?? '', join(folder, 'outputs'));
  const result = JSON.parse(readFileSync(join(folder, 'outputs', 'result.json'), 'utf8')) as ReturnType<typeof train>;
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return { ...result, ...{ folder: join(folder, 'outputs') } };
}

interface Answers {
  readonly accuracy: number;
  readonly requests: number;
  readonly requestsPerSecond: number;
}

function askService(gateway: string, data: string): Answers {
  const request = { packages: ['numpy', 'tritonclient[http]==2.73.0'], python: '3' };
  const target = join(home, 'cache', 'clients', 'ask');
  athanor('environment', 'prepare', '--target', target, '--request', JSON.stringify(request));
  const args = [join(HERE, 'ask.py'), '--gateway', new URL(gateway).host, '--data', data];
  return JSON.parse(execFileSync(join(target, 'bin', 'python'), args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })) as Answers;
}

step('Python');
ensurePython();
step('Athanor');
const { tracking, gateway } = up();
step('Data: the handwritten digits of scikit-learn, imported as an immutable version (the first time builds its environment)');
const { digest } = ask<{ digest: string }>('push', HERE);
apply('dataset.yaml', { CODE_DIGEST: digest });
athanor('wait', 'dataset', 'digits', '--for', 'Ready', '--timeout', '900');
step('Training: two pods in one gang');
const result = train(digest) as ReturnType<typeof train> & { readonly folder: string };
step(`Serving: models:/digits/${result.version}`);
apply('service.yaml', { MODEL_VERSION: result.version });
athanor('wait', 'inferenceservice', 'digits', '--for', 'Ready', '--timeout', '120');
step('Asking: the held-out images, one request each');
const answers = askService(gateway, join(result.folder, 'held_out.npz'));
const model = `${gateway}/default/digits/v2/models/digits`;
process.stdout.write(`
accuracy on ${answers.requests} held-out images   ${answers.accuracy.toFixed(4)}
requests per second                 ${answers.requestsPerSecond}
the run                             ${tracking}/experiments/${result.experimentId}/runs/${result.runId}
the model                           ${model}
`);
if (answers.accuracy < ACCURACY_MIN) {
  process.stderr.write(`error: the accuracy is under ${ACCURACY_MIN}\n`);
  process.exitCode = 1;
}
if (flags.once) athanor('down');
else {
  process.stdout.write(`
Athanor goes on running. Go on with
  bin/athanor get trainingjobs,  bin/athanor describe isvc digits,  bin/athanor logs -f tj <name>
  bin/athanor predict digits                     what the model takes
  bin/athanor run examples/hello.py              your own script as a job
  export KUBECONFIG=${join(home, 'kubeconfig')}  and use kubectl
  bin/athanor down                               stop it
`);
}
