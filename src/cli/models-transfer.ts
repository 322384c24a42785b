/** `athanor models push` and `pull`: versions, with their signatures, to and from other registries. */
import { StatusError } from '../kube/status-error.ts';
import { VERSION_HEADER } from '../tracking/oci/oci-path.ts';
import { findModelLayers } from '../tracking/oci/pushed-layers.ts';
import type { CommandContext } from './context.ts';
import { type Copied, copyArtifact, fetchManifest } from './copy-artifact.ts';
import { copySignatures } from './copy-signatures.ts';
import { type OciClient, openOci } from './oci-client.ts';
import { findCredentials } from './oci-credentials.ts';
import { type OciReference, parseReference } from './oci-reference.ts';
import { formatValue, parseFormat } from './output.ts';
import { openTracking, type TrackingFlags } from './tracking-client.ts';

export interface PullFlags extends TrackingFlags {
  readonly name?: string;
}

/** @throws BadRequest, NotFound, Forbidden for a version in quarantine */
export async function pushModel(
  context: CommandContext,
  { version, reference }: { readonly version: string; readonly reference: string },
  flags: TrackingFlags,
): Promise<void> {
  const [, name, number] = /^(?:models:\/)?([^/@]+)[/@]([^/@]+)$/.exec(version) ?? [];
  if (name === undefined || number === undefined) {
    throw new StatusError('BadRequest', `cannot push ${version}: use name/version, or name@alias`);
  }
  const target = parseReference(reference);
  const from = openOwn(context, name, flags);
  const fetched = await fetchManifest(from, number);
  const to = await openOther(context, target);
  const copied = await copyArtifact({ from, to, fetched, tag: target.reference, progress: progressOf(context) });
  const signatures = await copySignatures({ from, to, subject: fetched.digest });
  tell(context, flags, { act: 'pushed', model: `${name}/${number}`, reference, copied, signatures });
}

/** Becomes the next version, unless it is one already. @throws Forbidden when it goes into quarantine */
export async function pullModel(context: CommandContext, reference: string, flags: PullFlags): Promise<void> {
  const source = parseReference(reference);
  const name = flags.name ?? source.repository.slice(source.repository.lastIndexOf('/') + 1);
  const from = await openOther(context, source);
  const fetched = await fetchManifest(from, source.reference);
  if (!findModelLayers(fetched.manifest)) {
    const what = fetched.manifest.artifactType ?? fetched.manifest.mediaType;
    throw new StatusError('Invalid', `cannot pull ${reference}: it is ${what}, no ModelPack, ModelKit or Docker model`);
  }
  const to = openOwn(context, name, flags);
  const copied = await copyArtifact({ from, to, fetched, tag: 'latest', progress: progressOf(context) });
  const signatures = await copySignatures({ from, to, subject: fetched.digest });
  const model = `${name}/${copied.answer.headers.get(VERSION_HEADER) ?? ''}`;
  tell(context, flags, { act: 'pulled', model, reference, copied, signatures });
}

/** The model's repository behind tracking's door. */
function openOwn(context: CommandContext, name: string, flags: TrackingFlags): OciClient {
  const { url } = openTracking(context, flags);
  const token = context.env['MLFLOW_TRACKING_TOKEN'];
  const workspace = flags.namespace && flags.namespace !== 'default' ? `${flags.namespace}/` : '';
  const known = token
    ? { credentials: { bearer: token }, authorization: `Bearer ${token}` }
    : { credentials: undefined };
  return openOci({ api: `${url}/v2`, repository: `${workspace}models/${name}`, ...known });
}

async function openOther({ env }: CommandContext, { api, host, repository }: OciReference): Promise<OciClient> {
  return openOci({ api, repository, credentials: await findCredentials(env, host) });
}

/** One line that is written over, where somebody looks. */
function progressOf({ stderr }: CommandContext): (doneBytes: number, allBytes: number) => void {
  if (!stderr.isTTY) return () => undefined;
  return (doneBytes, allBytes) => {
    const end = doneBytes === allBytes ? '\n' : '';
    stderr.write(`\r${(doneBytes / 1e6).toFixed(1)} of ${(allBytes / 1e6).toFixed(1)} MB${end}`);
  };
}

interface Told {
  readonly act: 'pushed' | 'pulled';
  readonly model: string;
  readonly reference: string;
  readonly copied: Copied;
  readonly signatures: number;
}

function tell(context: CommandContext, flags: TrackingFlags, told: Told): void {
  const { act, model, reference, copied, signatures } = told;
  const { digest, blobs, sentBlobs, sentBytes } = copied;
  const format = parseFormat(flags.output);
  const result = { model, reference, digest, blobs, sentBlobs, sentBytes, signatures };
  if (format === 'json' || format === 'yaml') context.stdout.write(formatValue(result, format));
  else if (format === 'name') context.stdout.write(`models:/${model}\n`);
  else {
    const [from, to] = act === 'pushed' ? [model, reference] : [reference, model];
    const signed = signatures === 0 ? '' : `, ${signatures} ${signatures === 1 ? 'signature' : 'signatures'}`;
    const sent = `${sentBlobs} of ${blobs} blobs, ${sentBytes} bytes`;
    context.stdout.write(`${act} ${from} as ${to}: ${sent}, ${digest}${signed}\n`);
  }
}
