/**
 * Follows the platform's jobs, data sets and services, and keeps what they tell of lineage. Level-based: whatever was
 * missed while nobody looked is in the objects, and telling it again changes nothing.
 */
import type { Clock } from '../../base/clock.ts';
import { createInformer } from '../../client/informer.ts';
import type { ApiClient, Informer } from '../../client/types.ts';
import { dataset } from '../../kinds/dataset/kind.ts';
import { inferenceService } from '../../kinds/inference-service/kind.ts';
import { trainingJob } from '../../kinds/training-job/kind.ts';
import type { KubeObject, ResourceRef } from '../../kube/object.ts';
import type { Shared } from '../tracking.ts';
import { type LineageEvent, recordEvents } from './lineage.ts';
import { planDataset, planInferenceService, planTrainingJob } from './plan-lineage.ts';

export interface ObserverOptions {
  readonly client: ApiClient;
  readonly tracking: Shared;
  readonly clock: Clock;
  readonly report: (error: unknown) => void;
}

export interface LineageObserver {
  /** Resolves once it follows all three kinds. */
  readonly synced: Promise<void>;
  close(): Promise<void>;
}

const RETRY_MS = 5_000;

/** Starts following at once. */
export function observeLineage(options: ObserverOptions): LineageObserver {
  const followers = [
    follow(options, trainingJob, planTrainingJob),
    follow(options, dataset, planDataset),
    follow(options, inferenceService, planInferenceService),
  ];
  return {
    synced: Promise.all(followers.map(({ synced }) => synced)).then(() => undefined),
    close: async () => void (await Promise.all(followers.map((follower) => follower.close()))),
  };
}

interface Follower {
  readonly synced: Promise<void>;
  close(): Promise<void>;
}

function follow<T extends KubeObject>(
  { client, tracking, clock, report }: ObserverOptions,
  ref: ResourceRef,
  plan: (object: T) => readonly LineageEvent[],
): Follower {
  const informer: Informer<T> = createInformer<T>({ client, ref, clock, report });
  const told = new Map<string, string>();
  const retries = new Set<() => void>();
  let last: Promise<void> = Promise.resolve();
  const tell = async (object: T): Promise<void> => {
    const events = plan(object);
    const { uid = '', namespace: workspace = 'default' } = object.metadata;
    const text = JSON.stringify(events);
    if (events.length === 0 || told.get(uid) === text) return;
    await recordEvents({ ...tracking, workspace }, events);
    told.set(uid, text);
  };
  const enqueue = (object: T): void => {
    last = last
      .then(() => tell(object))
      .catch((error: unknown) => {
        report(error);
        const cancel = clock.after(RETRY_MS, () => {
          retries.delete(cancel);
          enqueue(object);
        });
        retries.add(cancel);
      });
  };
  informer.onChange(({ type, object }) => {
    if (type === 'deleted') told.delete(object.metadata.uid ?? '');
    else enqueue(object);
  });
  return {
    synced: informer.synced,
    close: async () => {
      informer.close();
      for (const cancel of retries) cancel();
      await last;
    },
  };
}
