/** Signatures that tracking keeps beside versions of registered models, as commands ask for them and show them. */
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

const FINGERPRINT_SHOWN = 16;

/** @throws Invalid when it is not of just the version's files */
export async function keepSignature(
  tracking: TrackingClient,
  id: VersionName,
  bundle: string,
): Promise<VersionSignature> {
  return tracking.ask(`${placeOf(id.name)}/versions/${encodeURIComponent(id.version)}/signatures`, { bundle });
}

/** The newest first. @throws NotFound */
export async function readSignatures(tracking: TrackingClient, id: VersionName): Promise<readonly KeptSignature[]> {
  const path = `${placeOf(id.name)}/versions/${encodeURIComponent(id.version)}/signatures`;
  // Lists leave out what is empty.
  return (await tracking.ask<{ signatures?: readonly KeptSignature[] }>(path)).signatures ?? [];
}

/** Who signed which version of a model. @throws NotFound */
export async function listSigners(
  tracking: TrackingClient,
  name: string,
): Promise<ReadonlyMap<string, readonly Signer[]>> {
  const path = `${placeOf(name)}/signatures`;
  const { signatures = [] } = await tracking.ask<{ signatures?: readonly VersionSignature[] }>(path);
  const found = new Map<string, Signer[]>();
  for (const { version, signer } of signatures) append(found, version, signer);
  return found;
}

/** As one reads it: a certificate's subject, or the beginning of a key's fingerprint. */
export function formatSigner({ kind, subject, fingerprint }: Signer): string {
  if (kind === 'certificate' && subject !== '') return subject;
  return fingerprint === '' ? `an unnamed ${kind}` : `${kind} ${fingerprint.slice(0, FINGERPRINT_SHOWN)}`;
}

function placeOf(name: string): string {
  return `/api/athanor/v1/models/${encodeURIComponent(name)}`;
}
