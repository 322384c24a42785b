/**
 * The node agent: runs the pods bound to one node as processes. Knows the API only through a client, and no kind
 * of ours.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { createEventRecorder } from '../client/events.ts';
import { createInformer } from '../client/informer.ts';
import type { Pod } from '../kube/pod.ts';
import { WELL_KNOWN } from '../kube/well-known.ts';
import { type CgroupParents, parseCgroupParents } from './cgroup.ts';
import { probeIsolation } from './isolation.ts';
import { MemoryWatch } from './memory-watch.ts';
import { NodePods } from './node-pods.ts';
import { startRegistrar } from './node-registrar.ts';
import { type AgentContext, type AgentOptions, RESTART_BACKOFF } from './options.ts';
import { startAgentServer } from './server.ts';

export interface Agent {
  /** Where its own server listens. */
  readonly url: string;
  readonly port: number;
  /** Whether pods get private roots, or only rewritten paths. */
  readonly isolation: 'namespaces' | 'groups';
  /** Ends every pod's processes and resolves when none is left. The pods stay in the API. */
  close(): Promise<void>;
}

/** Starts the agent; resolves when its node is registered and its first list of pods is in. */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  mkdirSync(`${options.root}/pods`, { recursive: true, mode: 0o700 });
  const context = await createContext(options);
  const pods = new NodePods(context);
  const server = await startAgentServer({ options, pods });
  const registrar = await startRegistrar(options, server.port);
  const informer = createInformer<Pod>({
    client: options.client,
    ref: WELL_KNOWN.Pod,
    clock: options.clock,
    fieldSelector: `spec.nodeName=${options.nodeName}`,
    report: (error) => options.log.warn({ err: error }, 'cannot watch the pods of the node, will try again'),
  });
  informer.onChange(({ type, object }) => (type === 'deleted' ? pods.drop(object) : pods.keep(object)));
  await informer.synced;
  pods.forgetOthers(informer.list());
  for (const pod of informer.list()) pods.keep(pod);
  const isolation = context.launcher.isolation.type;
  options.log.info({ node: options.nodeName, port: server.port, isolation }, 'the node agent runs');
  return {
    url: server.url,
    port: server.port,
    isolation,
    close: async () => {
      informer.close();
      registrar.close();
      await pods.close();
      await server.close();
    },
  };
}

async function createContext(options: AgentOptions): Promise<AgentContext> {
  const { client, clock, log, root, nodeName, hiddenPaths = [] } = options;
  const isolation =
    options.isolation === 'groups' ? ({ type: 'groups', hasDeathSignal: false } as const) : await probeIsolation(root);
  const cgroups = options.limits === 'watch' ? ({ version: 2 } as const) : findCgroups();
  const report = (error: unknown) => log.warn({ err: error }, 'cannot write an event');
  return {
    options,
    launcher: { isolation, cgroups, memoryWatch: new MemoryWatch(clock), hidden: hiddenPaths },
    backoff: { ...RESTART_BACKOFF, ...options.backoff },
    recordEvent: createEventRecorder({ client, clock, component: 'kubelet', host: nodeName, report }),
  };
}

function findCgroups(): CgroupParents {
  try {
    return parseCgroupParents(readFileSync('/proc/self/cgroup', 'utf8'), readFileSync('/proc/self/mounts', 'utf8'));
  } catch {
    return { version: 2 }; // not Linux: nothing to find, limits are watched
  }
}
