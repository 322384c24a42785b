/**
 * What a pod asks of devices, in any of the dialects that we know, as one record: a share of each of some devices. Ours
 * (athanor.dev/devices), plain extended resources, HAMi, Volcano vGPU, KAI, Koordinator, and the openb simulator.
 */
import type { z } from 'zod';
import { DEVICES_ANNOTATION, DeviceRequest } from '../../kinds/fields/resources.ts';
import type { Pod } from '../../kube/pod.ts';
import { parseQuantity } from '../../kube/quantity.ts';
import type { Amounts } from '../amounts.ts';
import { WHOLE_MILLI } from '../pool/pool.ts';
import type { DeviceClasses, NamedClass } from './device-classes.ts';

/** A share of each of `count` devices, as plain data. */
export interface ShareRequest {
  readonly count: number;
  readonly milli: number;
  readonly memoryMiB: number;
  readonly memoryMilli: number;
  /** Name of the DeviceClass; undefined: any. */
  readonly deviceClass?: string | undefined;
  /** Models that will do, exactly; empty: any. */
  readonly models: readonly string[];
  /** Parts of names of models that will do or will not, as HAMi has it. */
  readonly wanted: readonly string[];
  readonly unwanted: readonly string[];
}

/** What was understood: a share, or what is wrong with the request; `used` are the resources that it was said in. */
export interface DeviceReading {
  readonly share?: ShareRequest | undefined;
  readonly problem?: string | undefined;
  readonly used: readonly string[];
}

const WHOLE: ShareRequest = {
  count: 1,
  milli: WHOLE_MILLI,
  memoryMiB: 0,
  memoryMilli: 0,
  models: [],
  wanted: [],
  unwanted: [],
};
const MIB = 2 ** 20;
const MOST_DEVICES = 64;

/** Reads the pod's annotations and the resources of its containers; `amounts` are those. */
export function readDeviceRequest(pod: Pod, amounts: Amounts, classes: DeviceClasses): DeviceReading {
  const annotations = pod.metadata.annotations ?? {};
  const used = Object.keys(amounts).filter((name) => isOfDevices(name, classes));
  try {
    const share =
      readOwn(annotations[DEVICES_ANNOTATION], classes) ??
      readOpenb(annotations) ??
      readKai(annotations, amounts, classes) ??
      readKoordinator(amounts) ??
      readResources(annotations, amounts, classes);
    return { used, ...(share !== undefined && { share: check(share) }) };
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    return { used, problem: error.message };
  }
}

/** Something of a pod's request that cannot be meant. */
class RequestError extends Error {}

function check(share: ShareRequest): ShareRequest {
  const { count, milli, memoryMilli } = share;
  if (!Number.isInteger(count) || count < 1 || count > MOST_DEVICES)
    throw new RequestError(`asks for ${count} devices: want a whole number from 1 to ${MOST_DEVICES}`);
  if (milli > WHOLE_MILLI || memoryMilli > WHOLE_MILLI)
    throw new RequestError(`asks for ${Math.max(milli, memoryMilli) / 10} % of a device: want 100 % at most`);
  return share;
}

function isOfDevices(name: string, classes: DeviceClasses): boolean {
  return (
    [classes.count, classes.cores, classes.memory, classes.memoryPercent].some((table) => table.has(name)) ||
    KOORDINATOR.has(name)
  );
}

function readOwn(text: string | undefined, classes: DeviceClasses): ShareRequest | undefined {
  if (text === undefined) return undefined;
  const parsed = DeviceRequest.safeParse(parseJson(text));
  if (!parsed.success) throw new RequestError(`annotation ${DEVICES_ANNOTATION}: ${describeIssue(parsed.error)}`);
  const { count, fraction, memory, slice, models, class: name } = parsed.data;
  const one = name === undefined ? undefined : classes.byName.get(name);
  if (name !== undefined && one === undefined) throw new RequestError(`there is no DeviceClass ${name}`);
  const memoryMiB = memory === undefined ? 0 : Math.ceil(parseQuantity(memory) / MIB);
  const shared = { ...WHOLE, count, models, deviceClass: name };
  if (slice !== undefined) return { ...shared, ...readSlice(slice, one) };
  if (fraction === undefined) return { ...shared, milli: memoryMiB > 0 ? 0 : WHOLE_MILLI, memoryMiB };
  const milli = Math.round(fraction * WHOLE_MILLI);
  return { ...shared, milli, memoryMiB, memoryMilli: memoryMiB > 0 || milli === WHOLE_MILLI ? 0 : milli };
}

function readSlice(name: string, one: NamedClass | undefined): Pick<ShareRequest, 'milli' | 'memoryMiB'> {
  const slice = one?.slices.find((candidate) => candidate.name === name);
  if (slice !== undefined) return { milli: Math.floor(slice.fraction * WHOLE_MILLI), memoryMiB: slice.memoryMiB };
  const known = one?.slices.map((candidate) => candidate.name).join(', ') || 'none';
  const where = one === undefined ? 'a class must be named with it' : `class ${one.name} has ${known}`;
  throw new RequestError(`there is no slice ${name}: ${where}`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new RequestError(`annotation ${DEVICES_ANNOTATION} is not JSON`);
  }
}

function describeIssue({ issues }: z.ZodError): string {
  const [first] = issues;
  return `${first?.path.join('.') ?? ''}: ${first?.message ?? 'not valid'}`;
}

/** alibabacloud.com/gpu-milli, gpu-count, gpu-card-model `A|B`. */
function readOpenb(annotations: Readonly<Record<string, string>>): ShareRequest | undefined {
  const milli = annotations['alibabacloud.com/gpu-milli'];
  if (milli === undefined) return undefined;
  const models = (annotations['alibabacloud.com/gpu-card-model'] ?? '').split('|').filter((model) => model !== '');
  const count = toNumber('alibabacloud.com/gpu-count', annotations['alibabacloud.com/gpu-count'] ?? '1');
  if (count === 0) return undefined;
  return { ...WHOLE, count, milli: toNumber('alibabacloud.com/gpu-milli', milli, WHOLE_MILLI), models };
}

/** gpu-fraction, or gpu-memory in MiB, with gpu-fraction-num-devices. */
function readKai(
  annotations: Readonly<Record<string, string>>,
  amounts: Amounts,
  classes: DeviceClasses,
): ShareRequest | undefined {
  const { 'gpu-fraction': fraction, 'gpu-memory': memory } = annotations;
  if (fraction === undefined && memory === undefined) return undefined;
  const whole = [...classes.count.keys()].find((name) => (amounts[name] ?? 0) > 0);
  if (whole !== undefined) throw new RequestError(`asks for ${whole} and for a fraction of a device: want one of them`);
  const count = toNumber('gpu-fraction-num-devices', annotations['gpu-fraction-num-devices'] ?? '1');
  if (memory !== undefined) return { ...WHOLE, count, milli: 0, memoryMiB: toNumber('gpu-memory', memory) };
  const milli = Math.round(toNumber('gpu-fraction', fraction ?? '', 1) * WHOLE_MILLI);
  return { ...WHOLE, count, milli, memoryMilli: milli === WHOLE_MILLI ? 0 : milli };
}

const KOORDINATOR = new Set([
  'koordinator.sh/gpu-core',
  'koordinator.sh/gpu-memory',
  'koordinator.sh/gpu-memory-ratio',
  'koordinator.sh/gpu.shared',
  'koordinator.sh/gpu',
]);

/** gpu-core and gpu-memory-ratio in hundredths over all devices, gpu-memory in bytes over all, gpu.shared devices. */
function readKoordinator(amounts: Amounts): ShareRequest | undefined {
  const of = (name: string) => amounts[`koordinator.sh/${name}`] ?? 0;
  const [all, cores, ratio, memory, shared] = [
    of('gpu'),
    of('gpu-core'),
    of('gpu-memory-ratio'),
    of('gpu-memory'),
    of('gpu.shared'),
  ];
  if (Math.max(all, cores, ratio, memory) === 0) return undefined;
  const most = Math.max(all, cores, ratio);
  const count = shared || Math.max(1, Math.ceil(most / 100));
  if (shared === 0 && most > 100 && most % 100 !== 0)
    throw new RequestError(`asks for ${most} % of devices: want 100 % at most, or a multiple of 100 %`);
  const per = (value: number) => Math.round((value * 10) / count);
  const milli = per(Math.max(all, cores));
  return { ...WHOLE, count, milli, memoryMilli: per(Math.max(all, ratio)), memoryMiB: Math.ceil(memory / count / MIB) };
}

/** A count, with hundredths of cores and MiB of memory on each: HAMi's and Volcano's form; a count alone is whole. */
function readResources(
  annotations: Readonly<Record<string, string>>,
  amounts: Amounts,
  classes: DeviceClasses,
): ShareRequest | undefined {
  const given = Object.entries(amounts).filter(([, amount]) => amount > 0);
  const counted = given.flatMap(([name, amount]) => toRow(classes.count.get(name), amount));
  const cores = given.flatMap(([name, amount]) => {
    const entry = classes.cores.get(name);
    return toRow(entry?.of, (amount / (entry?.whole ?? 100)) * WHOLE_MILLI);
  });
  const memory = given.flatMap(([name, amount]) => {
    const entry = classes.memory.get(name);
    return toRow(entry?.of, amount * (entry?.unitMiB ?? 1));
  });
  const percent = given.flatMap(([name, amount]) => toRow(classes.memoryPercent.get(name), amount * 10));
  const rows = [...counted, ...cores, ...memory, ...percent];
  const names = new Set(rows.map(({ of }) => of.name));
  if (names.size === 0) return undefined;
  if (names.size > 1) throw new RequestError(`asks for devices of several classes: ${[...names].join(', ')}`);
  const count = counted[0]?.value ?? 1;
  const memoryMiB = memory[0]?.value ?? 0;
  const memoryMilli = percent[0]?.value ?? 0;
  const isWhole = cores.length + memory.length + percent.length === 0;
  const milli = isWhole ? WHOLE_MILLI : Math.round(cores[0]?.value ?? 0);
  const one = rows[0]?.of;
  return {
    ...WHOLE,
    count,
    milli,
    memoryMiB,
    // why: cores without a word on memory get as large a part of it, so that a device is never full and half idle
    memoryMilli: memoryMilli || (memoryMiB === 0 && !isWhole ? milli : 0),
    deviceClass: one?.name,
    wanted: listOf(annotations, one?.modelAnnotations.wanted),
    unwanted: listOf(annotations, one?.modelAnnotations.unwanted),
  };
}

function toRow(
  of: NamedClass | undefined,
  value: number,
): readonly { readonly of: NamedClass; readonly value: number }[] {
  return of === undefined ? [] : [{ of, value }];
}

function listOf(annotations: Readonly<Record<string, string>>, names: readonly string[] = []): readonly string[] {
  return names
    .flatMap((name) => (annotations[name] ?? '').split(','))
    .map((part) => part.trim().toLowerCase())
    .filter((part) => part !== '');
}

function toNumber(name: string, text: string, most = Number.MAX_SAFE_INTEGER): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value >= 0 && value <= most) return value;
  const range = most === Number.MAX_SAFE_INTEGER ? 'of 0 or more' : `from 0 to ${most}`;
  throw new RequestError(`annotation ${name} is '${text}': want a number ${range}`);
}
