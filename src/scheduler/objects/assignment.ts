/** Which devices a pod was given: told to the pod in an annotation when it is bound, and read again from there. */
import { isJsonObject } from '../../base/json.ts';
import { ASSIGNED_DEVICES_ANNOTATION, type AssignedDevices } from '../../kinds/device-class/kind.ts';
import type { Pod } from '../../kube/pod.ts';
import type { Holding } from '../cycle/ledger.ts';
import type { Member } from '../cycle/workload.ts';
import { at, type Pool } from '../pool/pool.ts';
import type { DeviceClasses } from './device-classes.ts';

/** The node the pod has, and its devices where it was told. */
export function readAssigned({ spec, metadata }: Pod): Member['on'] {
  if (spec.nodeName === undefined) return undefined;
  const text = metadata.annotations?.[ASSIGNED_DEVICES_ANNOTATION];
  const devices = text === undefined ? undefined : parseIndexes(text);
  return { node: spec.nodeName, ...(devices !== undefined && { devices }) };
}

function parseIndexes(text: string): readonly number[] | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    if (!isJsonObject(parsed) || !Array.isArray(parsed['devices'])) return undefined;
    const indexes = parsed['devices'].map((one) => (isJsonObject(one) ? Number(one['index']) : Number.NaN));
    return indexes.every((index) => Number.isInteger(index) && index >= 0) ? indexes : undefined;
  } catch {
    return undefined; // why: somebody else wrote it; then the idlest devices are taken to be meant
  }
}

/** Annotations to bind a pod with; none for one that holds no device. */
export function writeAssigned(
  { placement }: Holding,
  pool: Pool,
  classes: DeviceClasses,
): Readonly<Record<string, string>> {
  const { task, node, devices } = placement;
  if (devices.length === 0) return {};
  const first = at(pool.firstDevice, node);
  const given = devices.flatMap((device) => {
    const found = pool.devices[device];
    return found === undefined ? [] : [{ index: device - first, id: found.id, class: found.deviceClass }];
  });
  const memoryMiB = Math.max(...devices.map((device) => pool.memoryOn(task, device)));
  const share = { milli: task.milli, ...(memoryMiB > 0 && { memoryMiB }) };
  const env = toEnv(classes, given, { milli: task.milli, memoryMiB });
  const assigned: AssignedDevices = { devices: given, share, env };
  return { [ASSIGNED_DEVICES_ANNOTATION]: JSON.stringify(assigned) };
}

/** What the containers are told: which devices, and how much of them. */
function toEnv(
  classes: DeviceClasses,
  given: readonly { readonly id: string; readonly class: string }[],
  { milli, memoryMiB }: { readonly milli: number; readonly memoryMiB: number },
): Readonly<Record<string, string>> {
  const env = classes.byName.get(given[0]?.class ?? '')?.env;
  if (env === undefined) return {};
  const ids = given.map(({ id }) => id).join(',');
  const visible = env.visible.map((name) => [name, ids]);
  const isShare = milli > 0 && milli < 1000;
  const { memoryLimit, coreLimit } = env;
  const memory =
    memoryLimit === undefined || memoryMiB === 0
      ? []
      : given.map((_, index) => [memoryLimit.replace('{index}', String(index)), `${memoryMiB}m`]);
  const cores = coreLimit === undefined || !isShare ? [] : [[coreLimit, String(Math.round(milli / 10))]];
  return Object.fromEntries([...visible, ...memory, ...cores]);
}
