/**
 * Decides which model servers an inference service should have now. A new revision replaces the old one only when it
 * is ready.
 */
import { hashJson } from '../../base/json.ts';
import { mergeConditions } from '../../kube/condition.ts';
import type { Outcome, World } from '../../kube/kind.ts';
import type { ObjectOf } from '../../kube/object.ts';
import { isPodFinished, isPodReady, type Pod } from '../../kube/pod.ts';
import { planBlobs } from '../fields/blobs.ts';
import { containerResources, deviceAnnotations } from '../fields/resources.ts';
import { SCHEDULING_ANNOTATION } from '../fields/scheduling.ts';
import { findBlock, findFailure } from '../fields/status.ts';
import type { ServingRuntimeSpec } from '../serving-runtime/kind.ts';
import { type InferenceServiceSpec, type InferenceServiceStatus, SERVER_CONTAINER, SERVICE_LABEL } from './kind.ts';

type Service = ObjectOf<InferenceServiceSpec, InferenceServiceStatus>;
type Runtime = ObjectOf<ServingRuntimeSpec>;

const REVISION_LABEL = 'athanor.dev/revision';
const MODEL_PATH = '/mnt/models';

/** Old copies stay until every new one is ready; a copy that ended is made again. */
export function reconcile(service: Service, world: World): Outcome<InferenceServiceStatus> {
  const present = world.owned<Pod>(service, 'Pod');
  const runtimeName = service.spec.runtime ?? service.spec.model.format;
  const runtime = world.find<Runtime>('ServingRuntime', runtimeName);
  if (runtime === undefined) {
    const message = `there is no ServingRuntime ${runtimeName}: create it, or name another in spec.runtime`;
    return {
      children: present,
      status: planStatus(service, world, {
        pods: present,
        revision: '',
        trouble: { reason: 'RuntimeNotFound', message },
      }),
    };
  }
  const revision = hashJson([service.spec.model, service.spec.env, service.spec.resources, runtime.spec]).slice(0, 8);
  const wanted = Array.from({ length: service.spec.replicas }, (_, index) =>
    planServer(service, { runtime, revision, index, world }),
  );
  const current = present.filter((pod) => pod.metadata.labels?.[REVISION_LABEL] === revision && !isPodFinished(pod));
  const old = present.filter((pod) => pod.metadata.labels?.[REVISION_LABEL] !== revision && !isPodFinished(pod));
  const isReplaced = current.filter(isPodReady).length >= service.spec.replicas;
  const alive = wanted.filter(
    ({ metadata }) => !present.some((pod) => pod.metadata.name === metadata.name && isPodFinished(pod)),
  );
  return {
    children: [...alive, ...(isReplaced ? [] : old)],
    status: planStatus(service, world, { pods: current, revision, trouble: findTrouble(current) }),
  };
}

interface Trouble {
  readonly reason: string;
  readonly message: string;
}

function findTrouble(pods: readonly Pod[]): Trouble | undefined {
  for (const pod of pods) {
    const failure = findFailure(pod);
    if (failure !== undefined)
      return {
        reason: failure.reason,
        message: `container ${failure.container} of pod ${pod.metadata.name}: ${failure.message}`,
      };
    const block = findBlock(pod);
    if (block !== undefined) return block;
  }
  return undefined;
}

interface Observed {
  readonly pods: readonly Pod[];
  readonly revision: string;
  readonly trouble: Trouble | undefined;
}

function planStatus(
  { metadata, spec, status }: Service,
  { nowMs }: World,
  { pods, revision, trouble }: Observed,
): InferenceServiceStatus {
  const readyReplicas = pods.filter(isPodReady).length;
  const isReady = readyReplicas > 0;
  const phase =
    spec.replicas === 0 ? 'Stopped' : isReady ? 'Ready' : trouble ? 'Failed' : pods.length > 0 ? 'Loading' : 'Pending';
  const reason = trouble && !isReady ? trouble.reason : phase;
  const message = trouble && !isReady ? trouble.message : `${readyReplicas} of ${spec.replicas} copies answer`;
  const condition = { type: 'Ready', status: isReady ? ('True' as const) : ('False' as const), reason, message };
  return {
    phase,
    readyReplicas,
    revision,
    url: `/${metadata.namespace}/${metadata.name}/v2/models/${metadata.name}`,
    conditions: [...mergeConditions(status?.conditions, [condition], nowMs)],
  };
}

interface ServerPlan {
  readonly runtime: Runtime;
  readonly revision: string;
  readonly index: number;
  readonly world: World;
}

function planServer({ metadata, spec }: Service, { runtime, revision, index, world }: ServerPlan): Pod {
  const { image, command, args, env, port, readyPath } = runtime.spec;
  const blobs = planBlobs(world.settings);
  const given = { MODEL_NAME: metadata.name, MODEL_PATH, PORT: String(port) };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `${metadata.name}-${revision}-${index}`,
      labels: { [SERVICE_LABEL]: metadata.name, [REVISION_LABEL]: revision },
      annotations: {
        ...deviceAnnotations(spec.resources),
        [SCHEDULING_ANNOTATION]: JSON.stringify(spec.scheduling),
      },
    },
    spec: {
      schedulerName: 'athanor',
      initContainers: [
        {
          name: 'model',
          image: 'athanor',
          terminationMessagePolicy: 'FallbackToLogsOnError',
          volumeMounts: [{ name: 'model', mountPath: MODEL_PATH }, ...blobs.volumeMounts],
          args: ['model', 'fetch', '--uri', spec.model.uri, '--target', MODEL_PATH],
          env: [{ name: 'ATHANOR_TRACKING_URL', value: world.settings.trackingUrl }, ...blobs.env],
        },
      ],
      containers: [
        {
          name: SERVER_CONTAINER,
          image,
          args,
          ...(command && { command }),
          terminationMessagePolicy: 'FallbackToLogsOnError',
          env: [
            { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
            ...Object.entries(given).map(([name, value]) => ({ name, value })),
            ...env,
            ...spec.env,
          ],
          ports: [{ name: 'http', containerPort: port }],
          resources: containerResources(spec.resources),
          readinessProbe: {
            httpGet: { path: readyPath, port },
            periodSeconds: 1,
            failureThreshold: 3,
            timeoutSeconds: 2,
          },
          livenessProbe: { tcpSocket: { port }, initialDelaySeconds: 10, periodSeconds: 10, failureThreshold: 3 },
          volumeMounts: [{ name: 'model', mountPath: MODEL_PATH, readOnly: true }],
        },
      ],
      volumes: [{ name: 'model', emptyDir: {} }, ...blobs.volumes],
    },
  };
}
