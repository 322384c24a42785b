/** The lineage of a registered version: what its run read, and which job of the platform the run belongs to. */
import { randomUUID } from 'node:crypto';
import { ignoreNotFound } from '../../kube/status-error.ts';
import { recordEvents } from '../lineage/lineage.ts';
import { namespaceOf, noun, PRODUCER } from '../lineage/plan-lineage.ts';
import { readOwned } from '../owned-values.ts';
import { readFlows } from '../runs/run-inputs.ts';
import { getRunRow } from '../runs/runs.ts';
import type { Tracking } from '../tracking.ts';

/** Tag of a run that a pod began: `namespace/account`. A training job's account has its name. */
export const ACCOUNT_TAG = 'athanor.dev/account';

export interface RegisteredVersion {
  readonly name: string;
  readonly version: string;
  /** Empty when it is from no run. */
  readonly runId: string;
}

/** Keeps that the run, or the job that it belongs to, made this version. */
export async function recordVersion(tracking: Tracking, { name, version, runId }: RegisteredVersion): Promise<void> {
  const { workspace, clock } = tracking;
  const run = runId === '' ? undefined : await getRunRow(tracking, runId).catch(ignoreNotFound);
  const tags = run && (await readOwned(tracking, 'tracking_tags', { kind: 'run', owners: [runId] })).get(runId);
  const account = tags?.find(({ key }) => key === ACCOUNT_TAG)?.value.split('/')[1];
  const flow = run && (await readFlows(tracking, [runId])).get(runId);
  const inputs = (flow?.dataset_inputs ?? []).map(({ dataset }) =>
    noun(workspace, `dataset/${dataset.name}`, dataset.digest),
  );
  const job = account === undefined ? `run/${run?.run_name ?? 'none'}` : `training-job/${account}`;
  await recordEvents(tracking, [
    {
      eventType: 'COMPLETE',
      eventTime: new Date(clock.nowMs()).toISOString(),
      producer: PRODUCER,
      run: { runId: run === undefined ? randomUUID() : toUuid(runId) },
      job: { namespace: namespaceOf(workspace), name: job },
      inputs,
      outputs: [noun(workspace, `model/${name}`, version)],
    },
  ]);
}

/** MLflow's ids have no dashes; OpenLineage wants them. */
function toUuid(id: string): string {
  return id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
