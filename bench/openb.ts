/** Where the openb trace lies, and its lists. Benches only: the trace is not part of this repository. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseOpenbNodes, parseOpenbPods } from '../src/scheduler/simulate/openb.ts';

const FOLDER = process.env['OPENB_DATA'] ?? join(import.meta.dirname, '..', '..', 'shared', 'data', 'openb');

/** Pod lists that lie there. */
export const OPENB_LISTS = ['default', 'gpushare100', 'multigpu50', 'gpuspec33', 'cpu250'] as const;

/** One of them. */
export type OpenbList = (typeof OPENB_LISTS)[number];

/** The 1,213 nodes. @throws when the trace is not there; OPENB_DATA names its folder. */
export function readOpenbNodes() {
  return parseOpenbNodes(read('openb_node_list_gpu_node.csv'), 'openb_node_list_gpu_node.csv');
}

/** The pods of a list. */
export function readOpenbPods(list: OpenbList) {
  return parseOpenbPods(read(`openb_pod_list_${list}.csv`), `openb_pod_list_${list}.csv`);
}

function read(name: string): string {
  const path = join(FOLDER, name);
  if (!existsSync(path)) throw new Error(`there is no ${path}: set OPENB_DATA to the folder of the openb trace`);
  return readFileSync(path, 'utf8');
}
