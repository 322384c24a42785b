/** What a version's status lets one do with it. */
import { StatusError } from '../../kube/status-error.ts';
import type { ModelVersionRow } from '../schema.ts';

/** A version by its model's name, and how it stands. */
export interface NamedStatus extends Pick<ModelVersionRow, 'version' | 'status' | 'status_message'> {
  readonly name: string;
}

/** @throws Forbidden for a version in quarantine, ServiceUnavailable for one whose files are still looked through */
export function checkUsable(row: NamedStatus): void {
  if (row.status === 'READY') return;
  const what = `cannot use Model Version (name=${row.name}, version=${row.version})`;
  if (row.status === 'PENDING_REGISTRATION') {
    throw new StatusError('ServiceUnavailable', `${what}: its files are still looked through, try again`);
  }
  throw new StatusError('Forbidden', `${what}: it is in quarantine: ${row.status_message}`);
}
