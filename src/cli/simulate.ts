/** `athanor simulate`: a trace of pods on a list of nodes, by the scheduler's own engine. */
import { readFile } from 'node:fs/promises';
import { explainFileError, hasCode } from '../blobs/file-error.ts';
import { StatusError } from '../kube/status-error.ts';
import { parsePolicy } from '../scheduler/placement/policies.ts';
import { type ArrivalResult, simulateArrivals } from '../scheduler/simulate/arrivals.ts';
import { parseOpenbNodes, parseOpenbPods } from '../scheduler/simulate/openb.ts';
import type { CommandContext } from './context.ts';
import { formatTable, formatValue, parseFormat } from './output.ts';

/** Its flags. */
export interface SimulateFlags {
  readonly nodes: string;
  readonly pods: string;
  readonly policy: string;
  readonly seed: string;
  readonly inflate?: string;
  readonly output?: string;
}

/** Prints how much of the devices is held in the end. @throws Invalid with line numbers for a bad file. */
export async function simulateTrace({ stdout, stderr }: CommandContext, flags: SimulateFlags): Promise<void> {
  for (const flag of ['nodes', 'pods'] as const)
    if (flags[flag] === '') throw new StatusError('BadRequest', `cannot simulate a trace: --${flag} is missing`);
  const format = parseFormat(flags.output);
  const policy = parsePolicy(flags.policy);
  const seed = parseNumber(flags.seed, '--seed', { least: 0, isWhole: true });
  const inflate = flags.inflate === undefined ? undefined : parseNumber(flags.inflate, '--inflate', { least: 0.01 });
  const nodes = parseOpenbNodes(await readText(flags.nodes), flags.nodes);
  const pods = parseOpenbPods(await readText(flags.pods), flags.pods);
  if (stderr.isTTY === true) stderr.write(`placing ${pods.length} pods of the trace on ${nodes.length} nodes ...\n`);
  const result = simulateArrivals({ nodes, pods, policy, seed, inflate });
  if (format === 'json' || format === 'yaml') stdout.write(formatValue(result, format));
  else stdout.write(describe(result));
}

/** Larger factors would make more pods than memory holds. */
const MOST_INFLATED = 100;

function parseNumber(
  text: string,
  flag: string,
  { least, isWhole = false }: { least: number; isWhole?: boolean },
): number {
  const value = Number(text);
  const isFine =
    text.trim() !== '' && Number.isFinite(value) && value >= least && (!isWhole || Number.isSafeInteger(value));
  if (isFine && (isWhole || value <= MOST_INFLATED)) return value;
  const want = isWhole ? `a whole number of ${least} or more` : `a number of ${least} to ${MOST_INFLATED}, such as 1.3`;
  throw new StatusError('BadRequest', `cannot simulate: ${flag} is '${text}', want ${want}`);
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (hasCode(cause, 'ENOENT', 'ENOTDIR'))
      throw new StatusError('NotFound', `cannot read ${path}: there is no such file`, { cause });
    if (hasCode(cause, 'EISDIR'))
      throw new StatusError('BadRequest', `cannot read ${path}: it is a folder, want a CSV file`, { cause });
    throw explainFileError(cause, `read ${path}`);
  }
}

function describe(result: ArrivalResult): string {
  const percent = (ratio: number) => `${(100 * ratio).toFixed(2)} %`;
  const facts: readonly (readonly [string, string])[] = [
    ['policy', result.policy],
    ['seed', String(result.seed)],
    ['nodes', `${result.nodes} with ${result.devices} devices`],
    ['pods', `${result.pods} arrived, ${result.placed} placed, ${result.dropped} dropped`],
    ['arrived', `${percent(result.arrivedRatio)} of the devices`],
    [
      'allocated',
      `${percent(result.allocationRatio)} of the devices, ${percent(result.cpuAllocationRatio)} of the CPU`,
    ],
  ];
  const rows = result.allocationByArrived.map(({ arrived, allocationRatio }) => [
    percent(arrived),
    percent(allocationRatio),
  ]);
  return `${formatTable(['what', 'how much'], facts)}\n${formatTable(['arrived', 'allocated'], rows)}`;
}
