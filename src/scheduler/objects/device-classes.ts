/** Device classes as tables by the names of resources, and the devices of nodes. */

import { isJsonObject } from '../../base/json.ts';
import { DeviceClassSpec, NODE_DEVICES_ANNOTATION } from '../../kinds/device-class/kind.ts';
import { DEVICE_PROFILES } from '../../kinds/device-class/profiles.ts';
import type { ObjectOf } from '../../kube/object.ts';
import type { Node } from '../../kube/pod.ts';
import { parseQuantity } from '../../kube/quantity.ts';
import type { PoolDevice } from '../pool/pool.ts';

/** A class with its name. */
export interface NamedClass extends DeviceClassSpec {
  readonly name: string;
}

/** All classes, by the resources that pods and nodes use. */
export interface DeviceClasses {
  readonly byName: ReadonlyMap<string, NamedClass>;
  /** Resources that count devices. */
  readonly count: ReadonlyMap<string, NamedClass>;
  readonly cores: ReadonlyMap<string, { readonly of: NamedClass; readonly whole: number }>;
  readonly memory: ReadonlyMap<string, { readonly of: NamedClass; readonly unitMiB: number }>;
  readonly memoryPercent: ReadonlyMap<string, NamedClass>;
  /** Ready-made slices. */
  readonly slices: ReadonlyMap<string, { readonly of: NamedClass; readonly slice: DeviceClassSpec['slices'][number] }>;
}

/** The profiles that ship with the program, and the objects of a cluster, which go before them. */
export function buildDeviceClasses(objects: readonly ObjectOf<DeviceClassSpec>[] = []): DeviceClasses {
  const shipped = Object.entries(DEVICE_PROFILES).map(([name, profile]) => [name, parseClass(name, profile)] as const);
  const own = objects.map(({ metadata, spec }) => [metadata.name, parseClass(metadata.name, spec)] as const);
  const byName = new Map([...shipped, ...own]);
  const all = [...byName.values()];
  return {
    byName,
    count: new Map(all.flatMap((one) => [one.resources.count, ...one.resources.aliases].map((name) => [name, one]))),
    cores: new Map(all.flatMap((one) => one.resources.cores.map(({ name, whole }) => [name, { of: one, whole }]))),
    memory: new Map(
      all.flatMap((one) => one.resources.memory.map(({ name, unitMiB }) => [name, { of: one, unitMiB }])),
    ),
    memoryPercent: new Map(all.flatMap((one) => one.resources.memoryPercent.map((name) => [name, one]))),
    slices: new Map(
      all.flatMap((one) =>
        one.slices.flatMap((slice) => (slice.resource === undefined ? [] : [[slice.resource, { of: one, slice }]])),
      ),
    ),
  };
}

function parseClass(name: string, spec: unknown): NamedClass {
  return { ...DeviceClassSpec.parse(spec), name };
}

/** The devices of a node: as its agent lists them, or as many as its resources count. */
export function readNodeDevices(node: Node, classes: DeviceClasses): readonly PoolDevice[] {
  const listed = parseListed(node.metadata.annotations?.[NODE_DEVICES_ANNOTATION], classes);
  const allocatable = node.status?.allocatable ?? node.status?.capacity ?? {};
  const named = new Set(listed.map(({ deviceClass: name }) => name));
  const counted = [...classes.byName.values()]
    .filter(({ name }) => !named.has(name))
    .flatMap((one) => {
      const names = [one.resources.count, ...one.resources.aliases];
      const count = Math.max(0, ...names.map((name) => Math.floor(parseQuantity(allocatable[name] ?? 0))));
      return Array.from({ length: count }, (_, index) => toDevice(one, node, String(index)));
    });
  return [...listed, ...counted];
}

function toDevice(one: NamedClass, { metadata }: Node, id: string) {
  const labels = metadata.labels ?? {};
  const memory = Number(labels[one.memoryLabel]);
  return {
    id,
    deviceClass: one.name,
    model: labels[one.modelLabel] ?? '',
    memoryMiB: Number.isFinite(memory) && memory > 0 ? memory : one.defaultMemoryMiB,
    resource: one.resources.count,
    isHealthy: true,
  };
}

function parseListed(text: string | undefined, classes: DeviceClasses) {
  const listed = text === undefined ? [] : parseJsonList(text);
  return listed.filter(isJsonObject).map((one) => {
    const name = String(one['class'] ?? '');
    const resource = classes.byName.get(name)?.resources.count;
    return {
      id: String(one['id'] ?? ''),
      deviceClass: name,
      model: String(one['model'] ?? ''),
      memoryMiB: Number(one['memoryMiB'] ?? 0) || 0,
      isHealthy: one['isHealthy'] !== false,
      ...(resource !== undefined && { resource }),
    };
  });
}

function parseJsonList(text: string): readonly unknown[] {
  try {
    const parsed: unknown = JSON.parse(text);
    return Array.isArray(parsed) ? parsed : [];
  } catch {
    return []; // why: a node says something that is no list; it has no devices that we know of
  }
}

/** Resources of nodes that are devices, which pods get by share and not by count. */
export function isDeviceResource(name: string, classes: DeviceClasses): boolean {
  return (
    classes.count.has(name) || classes.cores.has(name) || classes.memory.has(name) || classes.memoryPercent.has(name)
  );
}
