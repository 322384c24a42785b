/** Tells the API that this node is here and alive: the Node object, and the Lease that says so every ten seconds. */
import { arch, cpus, hostname, platform, release } from 'node:os';
import type { Cancel } from '../base/clock.ts';
import { NODE_DEVICES_ANNOTATION, type NodeDevice } from '../kinds/device-class/kind.ts';
import { DEVICE_PROFILES } from '../kinds/device-class/profiles.ts';
import { type ConditionNow, formatMicroTime, formatTime, mergeConditions } from '../kube/condition.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Node, NodeStatus } from '../kube/pod.ts';
import { formatBytes, formatCpuMillis } from '../kube/quantity.ts';
import { isStatusError } from '../kube/status-error.ts';
import { WELL_KNOWN } from '../kube/well-known.ts';
import { findNvidiaDevices } from './find-devices.ts';
import { type AgentOptions, HOST_IP } from './options.ts';

/** How often the node says that it lives. */
export const LEASE_RENEW_MS = 10_000;
/** How often the node repeats a status that has not changed. */
export const NODE_STATUS_MS = 300_000;
/** How often the node looks after its devices. */
const DEVICES_MS = 60_000;
const LEASE_NAMESPACE = 'kube-node-lease';
const PODS_MAX = 1000;
/** Go's names for Node's. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm: 'arm', arm64: 'arm64', ia32: '386' };

export interface Registrar {
  close(): void;
}

/** Registers at once and goes on by itself; what fails is logged and tried again at the next beat. */
export async function startRegistrar(options: AgentOptions, port: number): Promise<Registrar> {
  const { clock, log } = options;
  let statusAtMs = Number.NEGATIVE_INFINITY;
  let devicesAtMs = Number.NEGATIVE_INFINITY;
  let devices: readonly NodeDevice[] = [];
  let cancel: Cancel | undefined;
  let isClosed = false;
  const beat = async () => {
    try {
      if (clock.nowMs() - devicesAtMs >= DEVICES_MS) {
        const found = await listDevices(options);
        devicesAtMs = clock.nowMs();
        if (JSON.stringify(found) !== JSON.stringify(devices)) statusAtMs = Number.NEGATIVE_INFINITY;
        devices = found;
      }
      if (clock.nowMs() - statusAtMs >= NODE_STATUS_MS) {
        await writeNode(options, port, devices);
        statusAtMs = clock.nowMs();
      }
      await renewLease(options);
    } catch (error) {
      log.warn({ err: error, node: options.nodeName }, 'cannot tell the API that the node is alive, will try again');
    }
    if (!isClosed) cancel = clock.after(LEASE_RENEW_MS, () => void beat());
  };
  await beat();
  return {
    close: () => {
      isClosed = true;
      cancel?.();
    },
  };
}

/** Real ones, then those that are only said to be there. What fails is logged: the node is useful without devices. */
async function listDevices({ env, capacity, log, nodeName }: AgentOptions): Promise<readonly NodeDevice[]> {
  const { simulated = [] } = capacity;
  try {
    return [...(await findNvidiaDevices(env)), ...simulated];
  } catch (error) {
    log.warn({ err: error, node: nodeName }, 'cannot list devices, will try again');
    return simulated;
  }
}

async function writeNode(options: AgentOptions, port: number, devices: readonly NodeDevice[]): Promise<void> {
  const { client, nodeName, clock } = options;
  const node = await ensureNode(options, devices);
  const status = computeNodeStatus(options, { node, port, devices, nowMs: clock.nowMs() });
  await client.patch(WELL_KNOWN.Node, { name: nodeName, type: 'merge', subresource: 'status', body: { status } });
}

async function ensureNode(
  { client, nodeName, labels = {} }: AgentOptions,
  devices: readonly NodeDevice[],
): Promise<Node> {
  const os = platform();
  const own = {
    'kubernetes.io/hostname': nodeName,
    'kubernetes.io/os': os,
    'kubernetes.io/arch': ARCHITECTURES[arch()] ?? arch(),
    ...labels,
  };
  const annotations = { [NODE_DEVICES_ANNOTATION]: JSON.stringify(devices) };
  try {
    return await client.patch<Node>(WELL_KNOWN.Node, {
      name: nodeName,
      type: 'merge',
      body: { metadata: { labels: own, annotations } },
    });
  } catch (error) {
    if (!isStatusError(error, 'NotFound')) throw error;
    const metadata = { name: nodeName, labels: own, annotations };
    return client.create<Node>(WELL_KNOWN.Node, { apiVersion: 'v1', kind: 'Node', metadata, spec: {} });
  }
}

interface NodeNow {
  readonly node: Pick<Node, 'status'>;
  readonly port: number;
  readonly devices: readonly NodeDevice[];
  readonly nowMs: number;
}

/** The node's status as a kubelet writes it. */
export function computeNodeStatus(
  { capacity, nodeName }: AgentOptions,
  { node, port, devices, nowMs }: NodeNow,
): NodeStatus {
  const extended = Object.entries(capacity.extended ?? {}).map(([name, count]) => [name, String(count)]);
  const resources = {
    cpu: formatCpuMillis(capacity.cpuMillis),
    memory: formatBytes(capacity.memoryBytes),
    pods: String(PODS_MAX),
    ...Object.fromEntries(extended),
    ...countDevices(devices),
  };
  const fine = (type: string, reason: string, message: string): ConditionNow => ({
    type,
    status: 'False',
    reason,
    message,
  });
  const now: ConditionNow[] = [
    fine('MemoryPressure', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'),
    fine('DiskPressure', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'),
    fine('PIDPressure', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
    { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'the agent is ready to run pods as processes' },
  ];
  const conditions = mergeConditions(node.status?.conditions, now, nowMs);
  const beat = { lastHeartbeatTime: formatTime(nowMs) };
  return {
    capacity: resources,
    allocatable: resources,
    conditions: conditions.map((one) => (now.some(({ type }) => type === one.type) ? { ...one, ...beat } : one)),
    addresses: [
      { type: 'InternalIP', address: HOST_IP },
      { type: 'Hostname', address: nodeName },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: port } },
    nodeInfo: {
      architecture: ARCHITECTURES[arch()] ?? arch(),
      operatingSystem: platform(),
      kernelVersion: release(),
      osImage: `${platform()} on ${hostname()}, ${cpus().length} processors`,
      containerRuntimeVersion: `process://${process.versions.node}`,
      kubeletVersion: 'v1.34.0-athanor',
      kubeProxyVersion: '',
      machineID: '',
      systemUUID: '',
      bootID: '',
    },
  };
}

/** Healthy devices by the resource that counts them. */
function countDevices(devices: readonly NodeDevice[]): Readonly<Record<string, string>> {
  const counts: Record<string, number> = {};
  for (const { class: name, isHealthy } of devices) {
    const resource = DEVICE_PROFILES[name]?.resources.count;
    if (resource !== undefined) counts[resource] = (counts[resource] ?? 0) + Number(isHealthy);
  }
  return Object.fromEntries(Object.entries(counts).map(([resource, count]) => [resource, String(count)]));
}

async function renewLease({ client, nodeName, clock }: AgentOptions): Promise<void> {
  const renewTime = formatMicroTime(clock.nowMs());
  const spec = { holderIdentity: nodeName, leaseDurationSeconds: 40, renewTime };
  const at = { name: nodeName, namespace: LEASE_NAMESPACE };
  try {
    await client.patch(WELL_KNOWN.Lease, { ...at, type: 'merge', body: { spec } });
  } catch (error) {
    if (!isStatusError(error, 'NotFound')) throw error;
    const lease: KubeObject & { spec: typeof spec } = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: at,
      spec,
    };
    await client.create(WELL_KNOWN.Lease, lease);
  }
}
