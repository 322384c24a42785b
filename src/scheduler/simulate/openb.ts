/**
 * Reads node and pod lists in the columns of Alibaba's openb trace (cluster-trace-gpu-v2023). Whatever is wrong in a
 * file is told with its line numbers, and nothing of it is used.
 */
import { StatusError } from '../../kube/status-error.ts';
import { type Demand, type PoolNode, WHOLE_MILLI } from '../pool/pool.ts';
import { CsvProblems, type CsvRow, parseCsv } from './csv.ts';

/** A pod of a trace. */
export interface TracePod {
  readonly name: string;
  readonly demand: Demand;
  /** Thousandths of devices it asks for, over all of them. */
  readonly deviceMilli: number;
  /** Seconds from the trace's start; undefined where the file has no such columns. */
  readonly createdAt?: number;
  readonly deletedAt?: number;
}

const MIB = 2 ** 20;
/** Pods that one node takes, as in the published simulator's filters. */
const PODS_PER_NODE = 110;
const MOST_DEVICES = 64;

/** Columns sn, cpu_milli, memory_mib, gpu, model. @throws Invalid with line numbers. */
export function parseOpenbNodes(text: string, file: string): readonly PoolNode[] {
  const rows = parseCsv(text, file, ['sn', 'cpu_milli', 'memory_mib', 'gpu', 'model']);
  const problems = new CsvProblems(file);
  checkNames(rows, 'sn', problems);
  const nodes = rows.map((row): PoolNode => {
    const name = row.cells['sn'] ?? '';
    const model = row.cells['model'] ?? '';
    const count = problems.wholeNumber(row, 'gpu', { most: MOST_DEVICES });
    if (count > 0 && model === '') problems.add(row.line, `has ${count} devices and no model`);
    return {
      name,
      labels: {},
      capacity: {
        cpu: problems.wholeNumber(row, 'cpu_milli'),
        memory: problems.wholeNumber(row, 'memory_mib') * MIB,
        pods: PODS_PER_NODE,
      },
      devices: Array.from({ length: count }, (_, index) => ({
        id: String(index),
        deviceClass: 'gpu',
        model,
        memoryMiB: 0,
      })),
    };
  });
  problems.check();
  if (nodes.length === 0) throw new StatusError('Invalid', `cannot read ${file}: there is no node in it`);
  return nodes;
}

/** Columns name, cpu_milli, memory_mib, num_gpu, gpu_milli; gpu_spec and times where given. @throws Invalid. */
export function parseOpenbPods(text: string, file: string): readonly TracePod[] {
  const rows = parseCsv(text, file, ['name', 'cpu_milli', 'memory_mib', 'num_gpu', 'gpu_milli']);
  const problems = new CsvProblems(file);
  checkNames(rows, 'name', problems);
  const pods = rows.map((row) => toPod(row, problems));
  problems.check();
  if (pods.length === 0) throw new StatusError('Invalid', `cannot read ${file}: there is no pod in it`);
  return pods;
}

function toPod(row: CsvRow, problems: CsvProblems): TracePod {
  const { cells } = row;
  const count = problems.wholeNumber(row, 'num_gpu', { most: MOST_DEVICES });
  const milli = problems.wholeNumber(row, 'gpu_milli', { most: WHOLE_MILLI });
  if (count > 0 && milli === 0) problems.add(row.line, `asks for ${count} devices and no share of them`);
  if (count > 1 && milli < WHOLE_MILLI) problems.add(row.line, `gpu_milli is ${milli}, want 1000 for several devices`);
  const amounts = {
    cpu: problems.wholeNumber(row, 'cpu_milli'),
    memory: problems.wholeNumber(row, 'memory_mib') * MIB,
    pods: 1,
  };
  const models = (cells['gpu_spec'] ?? '').split('|').filter((model) => model !== '');
  const admits = ({ model }: { model: string }) => models.length === 0 || models.includes(model);
  return {
    name: cells['name'] ?? '',
    demand: {
      key: `${amounts.cpu} ${amounts.memory} ${count} ${milli} ${models.toSorted().join('|')}`,
      amounts,
      ...(count > 0 && { share: { count, milli, memoryMiB: 0, admits } }),
    },
    deviceMilli: count * milli,
    ...timesOf(row, problems),
  };
}

function timesOf(row: CsvRow, problems: CsvProblems): Pick<TracePod, 'createdAt' | 'deletedAt'> {
  const { cells } = row;
  const given = (column: string) => (cells[column] ?? '') !== '';
  return {
    ...(given('creation_time') && { createdAt: problems.wholeNumber(row, 'creation_time') }),
    ...(given('deletion_time') && { deletedAt: problems.wholeNumber(row, 'deletion_time') }),
  };
}

function checkNames(rows: readonly CsvRow[], column: string, problems: CsvProblems): void {
  const lines = new Map<string, number>();
  for (const { line, cells } of rows) {
    const name = cells[column] ?? '';
    const before = lines.get(name);
    if (name === '') problems.add(line, `${column} is empty`);
    else if (before !== undefined) problems.add(line, `${column} '${name}' stands on line ${before} already`);
    lines.set(name, line);
  }
}
