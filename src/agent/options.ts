/** What the agent is told when it starts, and what its parts share. */
import type { Clock } from '../base/clock.ts';
import type { RecordEvent } from '../client/events.ts';
import type { ApiClient } from '../client/types.ts';
import type { NodeDevice } from '../kinds/device-class/kind.ts';
import type { BundleMap } from './find-bundle.ts';
import type { RestartBackoff } from './plan-pod.ts';
import type { Launcher } from './run-container.ts';

/** The part of pino's logger that the agent uses. */
export interface AgentLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface NodeCapacity {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  /** Devices and the like by resource name, such as `nvidia.com/gpu`. */
  readonly extended?: Readonly<Record<string, number>>;
  /** Devices that are only said to be there, for trying things out. */
  readonly simulated?: readonly NodeDevice[];
}

export interface AgentOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly log: AgentLog;
  readonly nodeName: string;
  /** Absolute folder that belongs to this agent alone: pods, their logs and what is known of them. */
  readonly root: string;
  readonly images: BundleMap;
  readonly capacity: NodeCapacity;
  readonly labels?: Readonly<Record<string, string>>;
  /** Where the agent's own server listens. Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  /** Bearer token that the API server presents. */
  readonly authToken: string;
  /** The whole of what containers inherit: PATH, LANG, TZ, proxies, KUBERNETES_SERVICE_HOST and _PORT. */
  readonly env: Readonly<Record<string, string>>;
  /** Host folders that containers find empty, such as the folder with the owner's credentials. */
  readonly hiddenPaths?: readonly string[];
  /** `groups` does without namespaces even where they can be had. */
  readonly isolation?: 'auto' | 'groups';
  /** `watch` samples memory instead of using control groups. Default auto. */
  readonly limits?: 'auto' | 'watch';
  readonly backoff?: Partial<RestartBackoff>;
  readonly logFileMaxBytes?: number;
  readonly logFilesMax?: number;
}

/** What the parts of one agent share. */
export interface AgentContext {
  readonly options: AgentOptions;
  readonly launcher: Launcher;
  readonly backoff: RestartBackoff;
  readonly recordEvent: RecordEvent;
}

/** A kubelet's own delays. */
export const RESTART_BACKOFF: RestartBackoff = { firstMs: 10_000, maxMs: 300_000, resetMs: 600_000 };
/** The address of the node itself. */
export const HOST_IP = '127.0.0.1';
