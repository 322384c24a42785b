/** All kinds of the platform, one line each. */
import type { Controller } from '../kube/kind.ts';
import { dataset } from './dataset/kind.ts';
import { reconcile as reconcileDataset } from './dataset/reconcile.ts';
import { inferenceService } from './inference-service/kind.ts';
import { reconcile as reconcileInferenceService } from './inference-service/reconcile.ts';
import { podGroup } from './pod-group/kind.ts';
import { servingRuntime } from './serving-runtime/kind.ts';
import { trainingJob } from './training-job/kind.ts';
import { reconcile as reconcileTrainingJob } from './training-job/reconcile.ts';

/** Every kind with its reconciler. */
export const KINDS: readonly Controller[] = [
  { kind: dataset, reconcile: reconcileDataset },
  { kind: inferenceService, reconcile: reconcileInferenceService },
  { kind: podGroup },
  { kind: servingRuntime },
  { kind: trainingJob, reconcile: reconcileTrainingJob },
];
