/** Kills what an earlier agent has left running. A process is known by its pid and the time of its start, never by pid alone. */
import { existsSync, readdirSync } from 'node:fs';
import { type ContainerRecord, type ContainerRun, readJsonFile } from './container-record.ts';
import { findProcess } from './process-table.ts';
import { sendSignal } from './run-container.ts';

/** Kills the process, and its group where it leads one, if it is still the one that was started. */
export function killRun({ pid, startTicks }: ContainerRun): void {
  if (findProcess(pid)?.startTicks !== startTicks) return;
  sendSignal(-pid, 'SIGKILL');
  sendSignal(pid, 'SIGKILL');
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
