/**
 * The verbs that pods of the image `athanor` run. They read the pod's environment and hand over to the launcher and
 * the model server.
 */
import { readFile, writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { BlobStore } from '../blobs/blob-store.ts';

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
const TERMINATION_LOG = '/dev/termination-log';

/** Adds them, hidden from help: people do not type them. */
export function addPodVerbs(program: Command): void {
  const environment = program.command('environment', { hidden: true });
  environment
    .command('prepare')
    .requiredOption('--target <folder>')
    .requiredOption('--request <json>')
    .action(prepareEnvironment);
  const code = program.command('code', { hidden: true });
  code.command('fetch').requiredOption('--digest <digest>').requiredOption('--target <folder>').action(fetchTree);
  code
    .command('pack')
    .requiredOption('--git <url>')
    .requiredOption('--ref <ref>')
    .requiredOption('--path <path>')
    .requiredOption('--work <folder>')
    .action(packGit);
  const dataset = program.command('dataset', { hidden: true });
  dataset.command('fetch').requiredOption('--digest <digest>').requiredOption('--target <folder>').action(fetchTree);
  dataset
    .command('import')
    .option('--folder <path>')
    .option('--url <url>')
    .option('--sha256 <hex>')
    .action(importDataset);
  const model = program.command('model', { hidden: true });
  model.command('fetch').requiredOption('--uri <uri>').requiredOption('--target <folder>').action(fetchModel);
  model
    .command('serve')
    .requiredOption('--model <path>')
    .requiredOption('--name <name>')
    .requiredOption('--host <address>')
    .requiredOption('--port <port>')
    .action(serveModel);
  program
    .command('launch <command...>', { hidden: true })
    .passThroughOptions()
    .requiredOption('--environment <folder>')
    .option('--outputs <folder>')
    .action(launchCommand);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function openBlobs(): Promise<BlobStore> {
  const { openBlobStore } = await import('../blobs/open-blob-store.ts');
  const { findPodBlobAccess } = await import('./blob-access.ts');
  return openBlobStore(process.env['ATHANOR_BLOBS_URL'] ?? '', findPodBlobAccess(process.env));
}

async function writeResult(result: unknown): Promise<void> {
  await writeFile(TERMINATION_LOG, JSON.stringify(result));
}

async function readToken(): Promise<string | undefined> {
  return readFile(`${ACCOUNT}/token`, 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  ); // why: a pod may be told to have no token
}

async function prepareEnvironment(options: { target: string; request: string }): Promise<void> {
  const { prepareEnvironment: prepare } = await import('../launcher/prepare-environment.ts');
  await prepare({ target: options.target, request: JSON.parse(options.request), env: process.env, say });
}

async function fetchTree(options: { digest: string; target: string }): Promise<void> {
  const { fetchTree: fetch } = await import('../launcher/fetch-tree.ts');
  await fetch(await openBlobs(), options);
}

async function packGit({
  git: url,
  ref,
  path,
  work,
}: {
  git: string;
  ref: string;
  path: string;
  work: string;
}): Promise<void> {
  const { packGit: pack } = await import('../launcher/pack-git.ts');
  await writeResult(await pack(await openBlobs(), { url, ref, path, work, env: process.env }));
}

async function importDataset({
  folder,
  url,
  sha256,
}: {
  folder?: string;
  url?: string;
  sha256?: string;
}): Promise<void> {
  const { importFolder, importUrl } = await import('../launcher/import-dataset.ts');
  const store = await openBlobs();
  await writeResult(
    folder === undefined ? await importUrl(store, { url: url ?? '', sha256, say }) : await importFolder(store, folder),
  );
}

async function fetchModel({ uri, target }: { uri: string; target: string }): Promise<void> {
  const { fetchModel: fetch } = await import('../launcher/fetch-model.ts');
  const { ATHANOR_TRACKING_URL: trackingUrl = '', ATHANOR_BLOBS_URL: blobsUrl = '' } = process.env;
  const { findPodBlobAccess } = await import('./blob-access.ts');
  const blobsAccess = findPodBlobAccess(process.env);
  await fetch({ uri, target, trackingUrl, blobsUrl, blobsAccess, token: await readToken(), say });
}

async function serveModel({
  model,
  name,
  host,
  port,
}: {
  model: string;
  name: string;
  host: string;
  port: string;
}): Promise<void> {
  const { startModelServer } = await import('../modelserver/server.ts');
  const server = await startModelServer({ modelPath: model, name, host, port: Number(port) });
  say(`serving ${name} at ${server.url}`);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void server.close());
}

async function launchCommand(
  command: string[],
  { environment, outputs }: { environment: string; outputs?: string },
): Promise<void> {
  const { launch } = await import('../launcher/launch.ts');
  const { withoutBlobAccess } = await import('./blob-access.ts');
  const kept = outputs === undefined ? undefined : { path: outputs, store: await openBlobs() };
  const token = await readToken();
  process.exitCode = await launch({
    command,
    environment,
    env: withoutBlobAccess(process.env),
    token,
    outputs: kept,
    say,
    writeResult,
    onProgress: (report) => reportProgress(report, token),
  });
}

/** A report becomes an annotation of the pod it comes from, where the job's reconcile finds it. */
async function reportProgress(report: unknown, token: string | undefined): Promise<void> {
  const { createClient } = await import('../client/client.ts');
  const { WELL_KNOWN } = await import('../kube/well-known.ts');
  const { PROGRESS_ANNOTATION } = await import('../kinds/training-job/kind.ts');
  const {
    KUBERNETES_SERVICE_HOST: host,
    KUBERNETES_SERVICE_PORT: port,
    POD_NAME: name = '',
    POD_NAMESPACE: namespace = '',
  } = process.env;
  const caPem = await readFile(`${ACCOUNT}/ca.crt`, 'utf8');
  const client = createClient({
    url: `https://${host}:${port}`,
    token: token ?? '',
    caPem,
    userAgent: 'athanor-launcher',
  });
  try {
    const body = { metadata: { annotations: { [PROGRESS_ANNOTATION]: JSON.stringify(report) } } };
    await client.patch(WELL_KNOWN.Pod, { name, namespace, type: 'merge', body });
  } finally {
    await client.close();
  }
}
