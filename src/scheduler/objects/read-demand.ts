/** What a pod needs, as the planner takes it: amounts, a share of devices, and the nodes that will not have it. */

import { containerResources, deviceAnnotations, type Resources } from '../../kinds/fields/resources.ts';
import type { Node, Pod, Taint, Toleration } from '../../kube/pod.ts';
import { matchesLabels, type Selector } from '../../kube/selector.ts';
import { type Amounts, requestsOf } from '../amounts.ts';
import type { Demand, DeviceShare, PoolDevice, PoolNode } from '../pool/pool.ts';
import type { DeviceClasses } from './device-classes.ts';
import { readDeviceRequest, type ShareRequest } from './device-request.ts';

/** What a pod asks for, whatever the nodes are. */
export interface PodAsk {
  readonly amounts: Amounts;
  readonly share?: ShareRequest | undefined;
  readonly problem?: string | undefined;
  /** Counts for quotas beside the amounts: parts of devices that ready-made slices are. */
  readonly extraQuota: Amounts;
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly tolerations: readonly Toleration[];
  /** Equal for pods that ask for the same. */
  readonly key: string;
}

/** Nodes by name, and what else keeps a pod from one: a pool that is not open to its queue. */
export interface NodeRules {
  readonly nodes: ReadonlyMap<string, Node>;
  readonly refuses: (node: Node) => string | undefined;
  /** Makes the rules part of what pods have in common. */
  readonly key: string;
}

/** Reads the pod alone. */
export function readPodAsk(pod: Pod, classes: DeviceClasses): PodAsk {
  const all = requestsOf(pod);
  const { share, problem, used } = readDeviceRequest(pod, all, classes);
  const amounts = Object.fromEntries(Object.entries(all).filter(([name]) => !used.includes(name)));
  const { nodeSelector = {}, tolerations = [] } = pod.spec;
  const extraQuota = quotaOfSlices(amounts, classes);
  const parts = { amounts, share, nodeSelector, tolerations };
  return { ...parts, problem, extraQuota, key: JSON.stringify(parts) };
}

/** What a pod of these resources would ask for, before there is one. */
export function readResourcesAsk(
  { resources, nodeSelector }: { readonly resources: Resources; readonly nodeSelector: PodAsk['nodeSelector'] },
  classes: DeviceClasses,
): PodAsk {
  const container = { name: 'main', image: '', resources: containerResources(resources) };
  const metadata = { name: '', annotations: deviceAnnotations(resources) };
  return readPodAsk(
    { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [container], nodeSelector } },
    classes,
  );
}

function quotaOfSlices(amounts: Amounts, { slices }: DeviceClasses): Amounts {
  const quota: Record<string, number> = {};
  for (const [name, amount] of Object.entries(amounts)) {
    const found = slices.get(name);
    if (found === undefined) continue;
    for (const resource of ['devices', found.of.resources.count])
      quota[resource] = (quota[resource] ?? 0) + amount * found.slice.fraction;
  }
  return quota;
}

/** The ask against the nodes of this moment. */
export function toDemand(ask: PodAsk, rules: NodeRules, classes: DeviceClasses): Demand {
  const { amounts, share, extraQuota } = ask;
  return {
    key: `${rules.key} ${ask.key}`,
    amounts,
    extraQuota,
    ...(share !== undefined && { share: toDeviceShare(share, classes) }),
    refuses: ({ name }: PoolNode) => {
      const node = rules.nodes.get(name);
      return node === undefined ? 'node(s) are gone' : (refusesAsk(ask, node) ?? rules.refuses(node));
    },
  };
}

function toDeviceShare(share: ShareRequest, classes: DeviceClasses): DeviceShare {
  const { count, milli, memoryMiB, memoryMilli, deviceClass, models, wanted, unwanted } = share;
  const resource = deviceClass === undefined ? undefined : classes.byName.get(deviceClass)?.resources.count;
  return {
    count,
    milli,
    memoryMiB,
    memoryMilli,
    ...(resource !== undefined && { resource }),
    admits: (device: PoolDevice) => {
      const model = device.model.toLowerCase();
      return (
        (deviceClass === undefined || device.deviceClass === deviceClass) &&
        (models.length === 0 || models.includes(device.model)) &&
        (wanted.length === 0 || wanted.some((part) => model.includes(part))) &&
        !unwanted.some((part) => model.includes(part))
      );
    },
  };
}

/** Why a node will not take the pod whatever room it has. */
function refusesAsk({ nodeSelector, tolerations }: PodAsk, node: Node): string | undefined {
  if (!isReady(node)) return 'node(s) were not ready';
  if (node.spec?.unschedulable === true) return 'node(s) were unschedulable';
  const selector: Selector = Object.entries(nodeSelector).map(([key, value]) => ({
    key,
    operator: 'in',
    values: [value],
  }));
  if (!matchesLabels(selector, node.metadata.labels)) return "node(s) didn't match Pod's node selector";
  const taint = (node.spec?.taints ?? []).find(
    (one) => one.effect !== 'PreferNoSchedule' && !tolerates(tolerations, one),
  );
  return taint && `node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`;
}

/** True when the node says that it is ready. */
export function isReady({ status }: Node): boolean {
  return status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true;
}

function tolerates(tolerations: readonly Toleration[], taint: Taint): boolean {
  return tolerations.some(({ key, operator = 'Equal', value = '', effect }) => {
    if (effect !== undefined && effect !== '' && effect !== taint.effect) return false;
    if (operator === 'Exists') return key === undefined || key === '' || key === taint.key;
    return key === taint.key && value === (taint.value ?? '');
  });
}
