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
import type { LineageEvent } from './lineage.ts';
import { createLineageTeller } from './lineage-teller.ts';
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
  const teller = createLineageTeller({ tracking, clock, report });
  informer.onChange(({ type, object }) => {
    const { uid = '', namespace: workspace = 'default' } = object.metadata;
    if (type === 'deleted') return teller.forget(uid);
    try {
      teller.tell({ uid, workspace, events: plan(object) });
    } catch (error) {
      report(error); // why: an informer that throws stops following
    }
  });
  return {
    synced: informer.synced,
    close: async () => {
      informer.close();
      await teller.close();
    },
  };
}
