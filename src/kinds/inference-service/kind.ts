/** InferenceService: a model that answers requests behind the gateway. */
import { z } from 'zod';
import { defineKind } from '../../kube/kind.ts';
import { EnvVariable, Resources } from '../fields/resources.ts';
import { Scheduling } from '../fields/scheduling.ts';
import { Conditions } from '../fields/status.ts';

export const InferenceServiceSpec = z.object({
  model: z.object({
    uri: z
      .string()
      .regex(/^(models:\/[^/@]+(\/\d+|@.+)|blobs:\/(sha256:)?[0-9a-f]{64})$/)
      .describe(
        'models:/name/version or models:/name@alias of the registry, or blobs:/sha256:digest of a folder in the blob store.',
      ),
    format: z.string().default('onnx').describe('Format of the model. Chooses the runtime when none is named.'),
  }),
  runtime: z.string().exactOptional().describe('Name of a ServingRuntime. Default: the runtime named like the format.'),
  replicas: z.number().int().min(0).max(1000).default(1).describe('Copies of the model server.'),
  resources: Resources.default({}).describe('What each copy asks for.'),
  env: z.array(EnvVariable).default([]).describe('Environment variables of the model server.'),
  scheduling: Scheduling.extend({
    preemptible: z.boolean().default(false).describe('Whether copies may be stopped or moved for others.'),
  })
    .prefault({})
    .describe('How its copies are queued and placed.'),
});

export const InferenceServiceStatus = z.object({
  phase: z
    .enum(['Pending', 'Loading', 'Ready', 'Failed', 'Stopped'])
    .exactOptional()
    .describe('What was observed, in one word.'),
  url: z.string().exactOptional().describe("Where the service answers, relative to the gateway's address."),
  readyReplicas: z.number().int().exactOptional().describe('Copies that answer now.'),
  revision: z.string().exactOptional().describe('Hash of what the newest copies run.'),
  conditions: Conditions.exactOptional(),
});

export type InferenceServiceSpec = z.infer<typeof InferenceServiceSpec>;
export type InferenceServiceStatus = z.infer<typeof InferenceServiceStatus>;

/** Label of every pod that serves: the name of its service. */
export const SERVICE_LABEL = 'athanor.dev/inference-service';
/** Name of the container and of the port the gateway sends requests to. */
export const SERVER_CONTAINER = 'server';

export const inferenceService = defineKind({
  kind: 'InferenceService',
  scope: 'Namespaced',
  shortNames: ['isvc'],
  description: 'A model that answers requests behind the gateway, at /<namespace>/<name>/v2/models/<name>.',
  spec: InferenceServiceSpec,
  status: InferenceServiceStatus,
  columns: {
    Phase: '.status.phase',
    Model: '.spec.model.uri',
    Replicas: { path: '.spec.replicas', type: 'integer' },
    Ready: { path: '.status.readyReplicas', type: 'integer' },
    URL: '.status.url',
  },
  conditions: { Ready: 'Whether at least one copy of the newest revision answers.' },
  owns: ['Pod'],
  reads: ['ServingRuntime'],
});
