/** All kinds of the platform, one line each. */
import type { Controller } from '../kube/kind.ts';
import { dataset } from './dataset/kind.ts';
import { reconcile as reconcileDataset } from './dataset/reconcile.ts';
import { deviceClass } from './device-class/kind.ts';
import { inferenceService } from './inference-service/kind.ts';
import { reconcile as reconcileInferenceService } from './inference-service/reconcile.ts';
import { nodePool } from './node-pool/kind.ts';
import { podGroup } from './pod-group/kind.ts';
import { queue } from './queue/kind.ts';
import { reservation } from './reservation/kind.ts';
import { servingRuntime } from './serving-runtime/kind.ts';
import { trainingJob } from './training-job/kind.ts';
import { reconcile as reconcileTrainingJob } from './training-job/reconcile.ts';

/** Every kind with its reconciler. */
export const KINDS: readonly Controller[] = [
  { kind: dataset, reconcile: reconcileDataset },
  { kind: deviceClass },
  { kind: inferenceService, reconcile: reconcileInferenceService },
  { kind: nodePool },
  { kind: podGroup },
  { kind: queue },
  { kind: reservation },
  { kind: servingRuntime },
  { kind: trainingJob, reconcile: reconcileTrainingJob },
];
