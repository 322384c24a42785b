/**
 * Kills what an earlier agent has left running. A process is known by its pid and the time of its start, never by
 * pid alone.
 */
import { existsSync, readdirSync } from 'node:fs';
import { type ContainerRecord, type ContainerRun, readJsonFile } from './container-record.ts';
import { findProcess, listProcesses, type ProcessRow } from './process-table.ts';
import { sendSignal } from './run-container.ts';

/** Kills the process, and its group where it leads one, if it is still the one that was started. */
export function killRun({ pid, startTicks }: ContainerRun): void {
  const leader = findProcess(pid);
  if (leader !== undefined && leader.startTicks !== startTicks) return;
  // A leader may die and leave its group behind; its number is not given anew while a member lives.
  const isOurs = (row: ProcessRow) => row.groupId === pid && row.startTicks >= startTicks;
  if (leader !== undefined || listProcesses().some(isOurs)) sendSignal(-pid, 'SIGKILL');
  if (leader !== undefined) sendSignal(pid, 'SIGKILL');
}

/** Kills every container that the pod's folder says was running. */
export function killPodLeftovers(podFolder: string): void {
  const folder = `${podFolder}/containers`;
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    const run = readJsonFile<ContainerRecord>(`${folder}/${name}/record.json`)?.run;
    if (run !== undefined) killRun(run);
  }
}
