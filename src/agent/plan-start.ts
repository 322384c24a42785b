/** Gathers what one container needs to start, or why it cannot yet. Starts nothing. */
import type { Container, Pod } from '../kube/pod.ts';
import { toStatusError } from '../kube/status-error.ts';
import { HOME_PATH, type StartRequest, TMP_PATH } from './container-slot.ts';
import type { NodeFacts } from './downward.ts';
import { expandVariables } from './expand-variables.ts';
import { type Bundle, explainUnknownImage, findBundle, planCommand } from './find-bundle.ts';
import { hostNameOf } from './hosts-file.ts';
import { RETRY_MAX_MS } from './limits.ts';
import type { AgentContext } from './options.ts';
import { listEnvReferences, planEnv } from './plan-env.ts';
import type { Mount } from './plan-mounts.ts';
import type { Waiting } from './plan-pod.ts';
import type { PodFolder } from './pod-folder.ts';
import type { PodVolumes } from './pod-volumes.ts';
import { readConfigMap, readSecret } from './volume-payload.ts';

export interface StartContext {
  readonly context: AgentContext;
  readonly pod: Pod;
  readonly facts: NodeFacts;
  readonly folder: PodFolder;
  readonly volumes: PodVolumes;
}

/** The start, or the state to wait in. */
export async function planStart(start: StartContext, container: Container): Promise<StartRequest | Waiting> {
  const { options } = start.context;
  const bundle = findBundle(container.image, options.images);
  if (bundle === undefined) {
    return { reason: 'ImageNeedsContainerRuntime', message: explainUnknownImage(container.image, options.images) };
  }
  const words = planCommand(container, bundle);
  if (words.length === 0) {
    return {
      reason: 'CreateContainerError',
      message: `no command specified: bundle ${container.image} has no default`,
    };
  }
  try {
    const env = await gatherEnv(start, container, bundle);
    const hosts = { target: '/etc/hosts', source: start.folder.hosts, type: 'file', readOnly: false } as const;
    return {
      command: words.map((word) => expandVariables(word, env)),
      env,
      mounts: [hosts, ...planProgram(bundle), ...start.volumes.listMounts(start.pod, container)],
      hostName: hostNameOf(start.pod),
      podIp: start.facts.podIp,
    };
  } catch (error) {
    const { message } = toStatusError(error);
    return { reason: 'CreateContainerConfigError', message, retryAtMs: options.clock.nowMs() + RETRY_MAX_MS / 5 };
  }
}

function planProgram({ folders = [] }: Bundle): readonly Mount[] {
  return folders.map((folder) => ({ target: folder, source: folder, type: 'folder', readOnly: true }));
}

async function gatherEnv(start: StartContext, container: Container, bundle: Bundle): Promise<Map<string, string>> {
  const { pod, facts, context } = start;
  const { client, env } = context.options;
  const names = listEnvReferences(container);
  const near = { client, pod };
  const configMaps = await readAll(names.configMaps, (name) => readConfigMap(near, name));
  const secrets = await readAll(names.secrets, (name) => readSecret(near, name));
  const path = [...(bundle.pathPrepend ?? []), env.PATH ?? ''].filter(Boolean).join(':');
  const base = { ...env, HOME: HOME_PATH, TMPDIR: TMP_PATH, HOSTNAME: hostNameOf(pod), ...bundle.env, PATH: path };
  const sources = { configMap: (name: string) => configMaps.get(name), secret: (name: string) => secrets.get(name) };
  return planEnv({ pod, container, facts, sources, base });
}

type Values = ReadonlyMap<string, Buffer> | undefined;

async function readAll(names: readonly string[], read: (name: string) => Promise<Values>) {
  const found = new Map<string, ReadonlyMap<string, string>>();
  for (const name of names) {
    const values = await read(name);
    if (values !== undefined)
      found.set(name, new Map([...values].map(([key, value]) => [key, value.toString('utf8')])));
  }
  return found;
}
