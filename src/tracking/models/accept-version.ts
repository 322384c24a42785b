/**
 * How a person takes a version out of quarantine, knowingly. What was found stays written beside who accepted it and
 * why.
 */
import { StatusError } from '../../kube/status-error.ts';
import { inTransaction, type Tracking } from '../tracking.ts';
import { getVersion, type VersionId } from './model-versions.ts';

export interface Acceptance {
  readonly user: string;
  readonly reason: string;
}

const REASON_LENGTH_MAX = 1_000;

/**
 * Makes the version usable. @throws Forbidden for a service account: no program accepts what it made itself; Conflict
 * when the version is not in quarantine; Invalid without a reason; NotFound
 */
export async function acceptVersion(tracking: Tracking, id: VersionId, acceptance: Acceptance): Promise<void> {
  const { user, reason } = acceptance;
  const what = `cannot accept Model Version (name=${id.name}, version=${id.version})`;
  if (user.startsWith('system:serviceaccount:')) {
    throw new StatusError('Forbidden', `${what}: ${user} is a program, a person has to do it`);
  }
  if (reason.trim() === '' || reason.length > REASON_LENGTH_MAX) {
    throw new StatusError('Invalid', `${what}: say why, in ${REASON_LENGTH_MAX} characters at most`);
  }
  await inTransaction(tracking, async (within) => {
    const row = await getVersion(within, id);
    if (row.status !== 'FAILED_REGISTRATION') {
      const how = row.status === 'READY' ? 'it is ready' : 'its files are still looked through';
      throw new StatusError('Conflict', `${what}: it is not in quarantine, ${how}`);
    }
    const message = `accepted by ${user}: ${reason.trim()} (found: ${row.status_message})`;
    await within.db
      .updateTable('tracking_model_versions')
      .set({ status: 'READY', status_message: message, last_update_time: tracking.clock.nowMs() })
      .where('model_key', '=', row.model_key)
      .where('version', '=', row.version)
      .execute();
  });
}
