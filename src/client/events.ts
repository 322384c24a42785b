/**
 * Writes core/v1 Events: what happened to an object and why, for people to read. The same event again raises a count.
 */
import type { Clock } from '../base/clock.ts';
import { hashJson } from '../base/json.ts';
import { formatTime } from '../kube/condition.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Event } from '../kube/pod.ts';
import { isStatusError } from '../kube/status-error.ts';
import { WELL_KNOWN } from '../kube/well-known.ts';
import type { ApiClient } from './types.ts';

export interface EventRecorderOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  /** Who says it: `scheduler`, `agent`. */
  readonly component: string;
  readonly host?: string;
  readonly report: (error: unknown) => void;
}

export interface Occurrence {
  readonly type: 'Normal' | 'Warning';
  /** CamelCase, for machines. */
  readonly reason: string;
  /** A sentence, for people. */
  readonly message: string;
  readonly fieldPath?: string;
}

/** Records events; never fails its caller: what cannot be written is reported. */
export type RecordEvent = (object: KubeObject, occurrence: Occurrence) => Promise<void>;

const MESSAGE_LENGTH_MAX = 1024;

/** The same event within the life of one recorder raises its count. */
export function createEventRecorder({ client, clock, component, host, report }: EventRecorderOptions): RecordEvent {
  const counts = new Map<string, { count: number; firstTimestamp: string }>();
  return async (object, { type, reason, message, fieldPath }) => {
    const { apiVersion, kind, metadata } = object;
    const namespace = metadata.namespace ?? 'default';
    const now = formatTime(clock.nowMs());
    const text = message.slice(0, MESSAGE_LENGTH_MAX);
    const name = `${metadata.name}.${hashJson([metadata.uid, reason, text, component, fieldPath])}`;
    const known = counts.get(name) ?? { count: 0, firstTimestamp: now };
    const { count, firstTimestamp } = { count: known.count + 1, firstTimestamp: known.firstTimestamp };
    remember(counts, name, { count, firstTimestamp });
    const event: Event = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name, namespace },
      type,
      reason,
      message: text,
      count,
      firstTimestamp,
      lastTimestamp: now,
      source: { component, ...(host !== undefined && { host }) },
      involvedObject: {
        apiVersion,
        kind,
        name: metadata.name,
        ...(metadata.namespace !== undefined && { namespace }),
        ...(metadata.uid !== undefined && { uid: metadata.uid }),
        ...(fieldPath !== undefined && { fieldPath }),
      },
    };
    try {
      await client.patch(WELL_KNOWN.Event, {
        name,
        namespace,
        type: 'apply',
        body: event,
        fieldManager: component,
        force: true,
      });
    } catch (error) {
      const isGone = isStatusError(error, 'NotFound') || isStatusError(error, 'Forbidden');
      if (!isGone) report(error);
    }
  };
}

const REMEMBERED_MAX = 4_096;

function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > REMEMBERED_MAX && oldest !== undefined) map.delete(oldest);
}
