/** `athanor run`: packs a script or folder, makes a training job of it, streams its logs, and exits with its code. */
import { cp, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { randomSuffix } from '../base/random.ts';
import { openBlobStore } from '../blobs/open-blob-store.ts';
import { putTree } from '../blobs/put-tree.ts';
import type { ApiClient } from '../client/types.ts';
import { type TrainingJobSpec, type TrainingJobStatus, trainingJob } from '../kinds/training-job/kind.ts';
import { isConditionTrue } from '../kube/condition.ts';
import { apiVersionOf, type KubeObject, type ObjectOf } from '../kube/object.ts';
import type { Pod } from '../kube/pod.ts';
import { isStatusError, StatusError } from '../kube/status-error.ts';
import { WELL_KNOWN } from '../kube/well-known.ts';
import { type CommandContext, withClient } from './context.ts';
import { printPodLog } from './logs.ts';
import { formatValue } from './output.ts';

export interface RunFlags {
  readonly name?: string;
  readonly namespace: string;
  readonly package: readonly string[];
  readonly python: string;
  readonly replicas: string;
  readonly cpu?: string;
  readonly memory?: string;
  readonly gpu?: string;
  readonly dataset: readonly string[];
  readonly env: readonly string[];
  readonly outputs?: string;
  readonly restartLimit: string;
  readonly ref: string;
  readonly detach?: boolean;
  readonly output?: string;
}

type TrainingJob = ObjectOf<TrainingJobSpec, TrainingJobStatus>;

/** Resolves to the exit code of the program; 0 when it is detached. */
export async function runScript(
  context: CommandContext,
  target: string,
  options: { readonly args: readonly string[]; readonly flags: RunFlags },
): Promise<number> {
  const { flags, args } = options;
  const source = await packSource(context, target, flags);
  const job = planJob(target, { source, args, flags });
  return withClient(context, async (client) => {
    const created = await client.create<KubeObject>(trainingJob, job);
    if (flags.output === 'json' || flags.output === 'yaml') context.stdout.write(formatValue(created, flags.output));
    else if (flags.output === 'name' || flags.detach === true)
      context.stdout.write(`trainingjob.athanor.dev/${created.metadata.name}\n`);
    if (flags.detach === true) return 0;
    context.stderr.write(`training job ${created.metadata.name} created\n`);
    return follow(client, created, context);
  });
}

interface Source {
  readonly code: NonNullable<TrainingJobSpec['code']>;
  readonly command: readonly string[];
}

async function packSource({ config, stderr }: CommandContext, target: string, { ref }: RunFlags): Promise<Source> {
  if (/^(git\+|https?:\/\/.*\.git$|git@)/.test(target)) {
    return { code: { git: { url: target.replace(/^git\+/, ''), ref, path: '.' } }, command: ['python', 'main.py'] };
  }
  const path = resolve(target);
  const found = await stat(path).catch((cause: unknown) => {
    throw new StatusError('NotFound', `cannot run ${target}: there is no such file or folder`, { cause });
  });
  const store = await openBlobStore(config.blobsUrl, config.blobsAccess);
  const folder = found.isDirectory() ? path : await copyAlone(path);
  const { digest, files } = await putTree(store, folder);
  if (!found.isDirectory()) await rm(folder, { recursive: true });
  stderr.write(`packed ${files.length} file${files.length === 1 ? '' : 's'} of ${target} as ${digest}\n`);
  const script = found.isDirectory() ? 'main.py' : basename(path);
  if (!files.some((file) => file.path === script))
    throw new StatusError('Invalid', `cannot run ${target}: it has no main.py, name a script in it instead`);
  return { code: { digest }, command: ['python', script] };
}

async function copyAlone(path: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'athanor-run-'));
  await cp(path, join(folder, basename(path)));
  return folder;
}

function planJob(
  target: string,
  { source, args, flags }: { source: Source; args: readonly string[]; flags: RunFlags },
): KubeObject & { readonly spec: unknown } {
  const stem =
    basename(target)
      .replace(/\.(py|git)$/, '')
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '-')
      .replaceAll(/^-+|-+$/g, '')
      .slice(0, 40) || 'job';
  const amounts = Object.entries({ cpu: flags.cpu, memory: flags.memory, 'nvidia.com/gpu': flags.gpu }).filter(
    ([, amount]) => amount !== undefined,
  );
  const datasets = flags.dataset.map((text) => {
    const [name = '', mountPath = `/data/${name}`] = text.split(':');
    return { name, mountPath };
  });
  const env = flags.env.map((text) => {
    const equals = text.indexOf('=');
    if (equals < 1) throw new StatusError('BadRequest', `cannot set '${text}': want NAME=VALUE`);
    return { name: text.slice(0, equals), value: text.slice(equals + 1) };
  });
  return {
    apiVersion: apiVersionOf(trainingJob),
    kind: 'TrainingJob',
    metadata: { name: flags.name ?? `${stem}-${randomSuffix(Math.random)}`, namespace: flags.namespace },
    spec: {
      code: source.code,
      command: [...source.command, ...args],
      replicas: Number(flags.replicas),
      restartLimit: Number(flags.restartLimit),
      env,
      datasets,
      environment: { python: flags.python, packages: flags.package },
      ...(amounts.length > 0 && {
        resources: { requests: Object.fromEntries(amounts), limits: Object.fromEntries(amounts) },
      }),
      ...(flags.outputs !== undefined && { outputs: { path: flags.outputs } }),
    },
  };
}

/** Logs of every pod of every attempt as they come, and what the job says of itself in between. */
async function follow(client: ApiClient, job: KubeObject, context: CommandContext): Promise<number> {
  const { name, namespace = 'default' } = job.metadata;
  const printers = new Map<string, Promise<void>>();
  const stop = new AbortController();
  const watching = watchPods({ client, name, namespace, context, printers, signal: stop.signal });
  const ended = await waitEnded(client, job, context);
  stop.abort();
  await watching;
  await Promise.allSettled(printers.values());
  const { exitCode = 1, message = '' } = ended.status ?? {};
  if (!isConditionTrue(ended.status?.conditions, 'Failed')) {
    context.stderr.write(
      `training job ${name} is complete${ended.status?.outputs ? `, outputs ${ended.status.outputs.digest}` : ''}\n`,
    );
    return 0;
  }
  context.stderr.write(`training job ${name} failed: ${message}\n`);
  return exitCode === 0 ? 1 : exitCode;
}

interface WatchPods {
  readonly client: ApiClient;
  readonly name: string;
  readonly namespace: string;
  readonly context: CommandContext;
  readonly printers: Map<string, Promise<void>>;
  readonly signal: AbortSignal;
}

async function watchPods({ client, name, namespace, context, printers, signal }: WatchPods): Promise<void> {
  const scope = { namespace, labelSelector: `athanor.dev/training-job=${name}` };
  const print = (pod: Pod) => {
    const key = pod.metadata.name;
    if (printers.has(key)) return;
    const prefix =
      pod.metadata.labels?.['athanor.dev/rank'] === undefined || pod.metadata.labels['athanor.dev/rank'] === '0'
        ? ''
        : `[${key}] `;
    printers.set(
      key,
      printPodLog(client, pod, { context, flags: { follow: true }, prefix }).catch(() => undefined),
    ); // why: a pod that never started has no log; the job's status says why
  };
  const { items, resourceVersion } = await client.list<Pod>(WELL_KNOWN.Pod, scope);
  for (const pod of items) print(pod);
  for await (const { type, object } of client.watch<Pod>(WELL_KNOWN.Pod, { ...scope, resourceVersion }, signal))
    if (type === 'ADDED') print(object);
}

async function waitEnded(client: ApiClient, job: KubeObject, { stderr }: CommandContext): Promise<TrainingJob> {
  let said = '';
  const tell = ({ status }: TrainingJob) => {
    const line = status?.message === undefined ? '' : `${status.phase}: ${status.message}`;
    if (line !== '' && line !== said && status?.phase !== 'Running') stderr.write(`${line}\n`);
    said = line;
  };
  for (;;) {
    const ended = await watchJob(client, job, tell).catch(ignoreBreak);
    if (ended !== undefined) return ended;
  }
}

/** The job once it is over; undefined when the watch ended before it. */
async function watchJob(
  client: ApiClient,
  { metadata }: KubeObject,
  tell: (job: TrainingJob) => void,
): Promise<TrainingJob | undefined> {
  const scope = { namespace: metadata.namespace ?? 'default', fieldSelector: `metadata.name=${metadata.name}` };
  const gone = new StatusError('NotFound', `training job ${metadata.name} was deleted while it ran`);
  const {
    items: [found],
    resourceVersion,
  } = await client.list<TrainingJob>(trainingJob, scope);
  if (found === undefined) throw gone;
  if (isOver(found)) return found;
  const stop = new AbortController();
  try {
    for await (const { type, object } of client.watch<TrainingJob>(
      trainingJob,
      { ...scope, resourceVersion },
      stop.signal,
    )) {
      if (type === 'DELETED') throw gone;
      if (type === 'BOOKMARK') continue;
      if (isOver(object)) return object;
      tell(object);
    }
  } finally {
    stop.abort();
  }
  return undefined;
}

function isOver({ status }: TrainingJob): boolean {
  return isConditionTrue(status?.conditions, 'Complete') || isConditionTrue(status?.conditions, 'Failed');
}

/** A watch that was cut is begun again. */
function ignoreBreak(error: unknown): undefined {
  if (!isStatusError(error, 'Expired') && !isStatusError(error, 'ServiceUnavailable')) throw error;
}
