/** The `resources` field: what one pod asks for, in Kubernetes' own words. */
import { z } from 'zod';
import { QUANTITY_PATTERN } from '../../kube/quantity.ts';

/** One of Kubernetes' quantities. */
export const Quantity = z.union([z.string().regex(new RegExp(QUANTITY_PATTERN)), z.number()]).meta({
  'x-kubernetes-int-or-string': true,
  pattern: QUANTITY_PATTERN,
});

/** Quantities by resource. */
export const Amounts = z.record(z.string(), Quantity);

/** Annotation in which a pod asks for shares of devices, as JSON of `DeviceRequest`. */
export const DEVICES_ANNOTATION = 'athanor.dev/devices';

export const DeviceRequest = z.object({
  class: z.string().min(1).exactOptional().describe('Name of a DeviceClass, such as nvidia. Default: any class.'),
  count: z.number().int().min(1).max(64).default(1).describe('Devices of one node.'),
  fraction: z
    .number()
    .gt(0)
    .max(1)
    .exactOptional()
    .describe('Share of the cores of each, above 0 and at most 1. Default: 1, or what memory or slice say.'),
  memory: Quantity.exactOptional().describe('Memory held on each.'),
  slice: z.string().min(1).exactOptional().describe('A profile of the class, such as 1g.5gb of MIG.'),
  models: z.array(z.string().min(1)).max(32).default([]).describe('Models that will do. Empty: any.'),
});

export type DeviceRequest = z.infer<typeof DeviceRequest>;

export const Resources = z.object({
  requests: Amounts.exactOptional().describe(
    'What the scheduler keeps free for the pod: cpu, memory, nvidia.com/gpu and others.',
  ),
  limits: Amounts.exactOptional().describe('What the pod may use at most.'),
  devices: DeviceRequest.exactOptional().describe('Accelerators, or shares of them, whoever made them.'),
});

export type Resources = z.infer<typeof Resources>;

/** The annotations of a pod that asks for devices. */
export function deviceAnnotations({ devices }: Resources): Readonly<Record<string, string>> {
  return devices === undefined ? {} : { [DEVICES_ANNOTATION]: JSON.stringify(devices) };
}

/** What a container asks for: devices are asked for by the pod. */
export function containerResources({ requests, limits }: Resources): Omit<Resources, 'devices'> {
  return { ...(requests && { requests }), ...(limits && { limits }) };
}

export const EnvVariable = z.object({
  name: z.string().min(1).describe('Name of the environment variable.'),
  value: z.string().default('').describe('Its value.'),
});
