/** Signatures that tracking keeps beside versions of registered models, as commands ask for them and show them. */
import { ignoreNotFound } from '../kube/status-error.ts';
import type { Signer } from '../modelfiles/sign-model.ts';
import type { VersionSignature } from '../tracking/models/version-signatures.ts';
import { append } from '../tracking/owned-values.ts';
import type { TrackingClient } from './tracking-client.ts';

/** A version by the name of its model. */
export interface VersionName {
  readonly name: string;
  readonly version: string;
}

/** A signature with its text. */
export interface KeptSignature extends VersionSignature {
  readonly bundle: string;
}

/** Lists leave out what is empty. */
interface Listed {
  readonly signatures?: readonly VersionSignature[];
}

const MODELS = '/api/athanor/v1/models';
const FINGERPRINT_SHOWN = 16;

/** @throws Invalid when it is not of just the version's files */
export async function keepSignature(
  tracking: TrackingClient,
  id: VersionName,
  bundle: string,
): Promise<VersionSignature> {
  return tracking.ask(placeOf(id), { bundle });
}

/** One after the other, the newest first. @throws NotFound */
export async function* readSignatures(tracking: TrackingClient, id: VersionName): AsyncGenerator<KeptSignature, void> {
  const { signatures = [] } = await tracking.ask<Listed>(placeOf(id));
  for (const { digest } of signatures)
    yield await tracking.ask<KeptSignature>(`${placeOf(id)}/${encodeURIComponent(digest)}`);
}

/** Who signed which version of a model that is there; nobody where tracking is a server of MLflow's own. */
export async function listSigners(
  tracking: TrackingClient,
  name: string,
): Promise<ReadonlyMap<string, readonly Signer[]>> {
  const listed = await tracking.ask<Listed>(`${MODELS}/${encodeURIComponent(name)}/signatures`).catch(ignoreNotFound);
  const found = new Map<string, Signer[]>();
  for (const { version, signer } of listed?.signatures ?? []) append(found, version, signer);
  return found;
}

/** As one reads it: a certificate's subject, or the beginning of a key's fingerprint. */
export function formatSigner({ kind, subject, fingerprint }: Signer): string {
  if (kind === 'certificate' && subject !== '') return subject;
  return fingerprint === '' ? `an unnamed ${kind}` : `${kind} ${fingerprint.slice(0, FINGERPRINT_SHOWN)}`;
}

function placeOf({ name, version }: VersionName): string {
  return `${MODELS}/${encodeURIComponent(name)}/versions/${encodeURIComponent(version)}/signatures`;
}
