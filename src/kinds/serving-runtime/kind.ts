/**
 * ServingRuntime: how to serve models of some formats: an image, its arguments, its port. Only read by
 * InferenceService.
 */
import { z } from 'zod';
import { defineKind } from '../../kube/kind.ts';
import { EnvVariable } from '../fields/resources.ts';

export const ServingRuntimeSpec = z.object({
  formats: z.array(z.string().min(1)).min(1).describe('Model formats it serves, such as onnx.'),
  image: z.string().min(1).describe('Image, or bundle on the laptop, of the model server.'),
  command: z.array(z.string()).exactOptional().describe("Replaces the image's entry point."),
  args: z
    .array(z.string())
    .default([])
    .describe('Arguments. $(MODEL_PATH), $(MODEL_NAME), $(POD_IP) and $(PORT) stand for what the service gives them.'),
  env: z.array(EnvVariable).default([]).describe('Environment variables of the model server.'),
  port: z.number().int().min(1).max(65535).default(8080).describe('Port it listens on.'),
  readyPath: z.string().default('/v2/health/ready').describe('HTTP path that answers 200 when the model can be asked.'),
});

export const ServingRuntimeStatus = z.object({});

export type ServingRuntimeSpec = z.infer<typeof ServingRuntimeSpec>;
export type ServingRuntimeStatus = z.infer<typeof ServingRuntimeStatus>;

export const servingRuntime = defineKind({
  kind: 'ServingRuntime',
  scope: 'Cluster',
  description: 'How to serve models of some formats. `athanor up` brings one named onnx.',
  spec: ServingRuntimeSpec,
  status: ServingRuntimeStatus,
  columns: { Formats: '.spec.formats', Image: '.spec.image' },
  owns: [],
});
