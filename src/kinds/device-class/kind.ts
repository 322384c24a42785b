/** DeviceClass: what a maker's accelerators are called, how they are shared, and how a container is given its share. */
import { z } from 'zod';
import { defineKind } from '../../kube/kind.ts';

export const DeviceClassSpec = z.object({
  vendor: z.string().min(1).describe('Who makes them.'),
  resources: z
    .object({
      count: z.string().min(1).describe('Extended resource that counts devices, such as nvidia.com/gpu.'),
      aliases: z.array(z.string().min(1)).default([]).describe('Other names of it that pods may use.'),
      cores: z
        .array(
          z.object({
            name: z.string().min(1).describe('The resource.'),
            whole: z.number().int().min(1).default(100).describe('How many units of it a whole device has.'),
          }),
        )
        .default([])
        .describe('Resources that ask for a share of the cores of each device.'),
      memory: z
        .array(
          z.object({
            name: z.string().min(1).describe('The resource.'),
            unitMiB: z.number().int().min(1).default(1).describe('MiB of one unit.'),
          }),
        )
        .default([])
        .describe('Resources that ask for memory on each device.'),
      memoryPercent: z
        .array(z.string())
        .default([])
        .describe('Resources that ask for hundredths of the memory of each.'),
    })
    .describe('How nodes and pods name them.'),
  modelLabel: z.string().default('').describe('Node label with the model.'),
  memoryLabel: z.string().default('').describe('Node label with the MiB of one device.'),
  defaultMemoryMiB: z.number().int().min(0).default(0).describe('Memory of a device whose node says nothing.'),
  modelAnnotations: z
    .object({
      wanted: z
        .array(z.string())
        .default([])
        .describe('Pod annotations that list parts of names of models that will do.'),
      unwanted: z.array(z.string()).default([]).describe('Pod annotations that list those that will not.'),
    })
    .prefault({})
    .describe('How pods choose among models.'),
  sharing: z
    .array(z.enum(['fraction', 'mig', 'mps', 'time-slice', 'none']))
    .default(['none'])
    .describe('How a device is shared: isolated fractions, hardware slices, or by turns without isolation.'),
  slices: z
    .array(
      z.object({
        name: z.string().min(1).describe('Profile, such as 1g.5gb.'),
        fraction: z.number().gt(0).max(1).describe('Share of the cores.'),
        memoryMiB: z.number().int().min(1).describe('Memory of the slice.'),
        resource: z.string().exactOptional().describe('Extended resource of ready-made slices.'),
      }),
    )
    .default([])
    .describe('Hardware slices.'),
  env: z
    .object({
      visible: z.array(z.string()).default([]).describe('Variables that list the devices of a container.'),
      memoryLimit: z.string().exactOptional().describe('Variable with the MiB limit of the device at {index}.'),
      coreLimit: z.string().exactOptional().describe('Variable with the limit of cores in hundredths.'),
    })
    .prefault({})
    .describe('What a container is told of its share.'),
  interconnect: z.string().default('').describe('What joins the devices of a node.'),
  healthMetrics: z.array(z.string()).default([]).describe('Prometheus metrics that tell of their health.'),
});

export const DeviceClassStatus = z.object({});

export type DeviceClassSpec = z.infer<typeof DeviceClassSpec>;

/** Annotation of a node with its devices, as JSON list of `NodeDevice`. */
export const NODE_DEVICES_ANNOTATION = 'athanor.dev/devices';
/** Annotation of a pod with what it was given, as JSON of `AssignedDevices`. */
export const ASSIGNED_DEVICES_ANNOTATION = 'athanor.dev/assigned-devices';

/** One device as the agent of its node tells of it. */
export interface NodeDevice {
  /** What the maker's tools call it: an index or a UUID. */
  readonly id: string;
  /** Name of its DeviceClass. */
  readonly class: string;
  readonly model: string;
  /** 0: not known. */
  readonly memoryMiB: number;
  readonly isHealthy: boolean;
}

/** What the scheduler gave a pod. */
export interface AssignedDevices {
  /** `index` is the device's place among those of its node. */
  readonly devices: readonly { readonly index: number; readonly id: string; readonly class: string }[];
  /** Of each of them. */
  readonly share: { readonly milli: number; readonly memoryMiB?: number };
  /** What the containers are told. */
  readonly env: Readonly<Record<string, string>>;
}

export const deviceClass = defineKind({
  kind: 'DeviceClass',
  plural: 'deviceclasses',
  scope: 'Cluster',
  shortNames: ['dc'],
  description: "What a maker's accelerators are called, how they are shared, and how a container is given its share.",
  spec: DeviceClassSpec,
  status: DeviceClassStatus,
  columns: { Vendor: '.spec.vendor', Resource: '.spec.resources.count', Sharing: '.spec.sharing' },
  owns: [],
});
