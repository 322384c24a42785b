/** NodePool: nodes under one name, who may use them, and what happens when one of them is not well. */
import { z } from 'zod';
import { defineKind } from '../../kube/kind.ts';

export const NodePoolSpec = z.object({
  nodeSelector: z.record(z.string(), z.string()).default({}).describe('Labels that its nodes have. Empty: all nodes.'),
  queues: z
    .array(z.string().min(1))
    .default([])
    .describe('Queues that may use its nodes, those below them included. Empty: all.'),
  drainUnhealthy: z
    .boolean()
    .default(true)
    .describe('Stop what runs on a node or device that is not well, so that it runs elsewhere.'),
  drainAfterSeconds: z
    .number()
    .int()
    .min(0)
    .default(300)
    .describe('How long a node may be not ready before what runs there is stopped.'),
});

export const NodePoolStatus = z.object({
  nodes: z.number().int().exactOptional().describe('Nodes that belong to it.'),
  devices: z.number().int().exactOptional().describe('Their accelerators.'),
});

export type NodePoolSpec = z.infer<typeof NodePoolSpec>;
export type NodePoolStatus = z.infer<typeof NodePoolStatus>;

export const nodePool = defineKind({
  kind: 'NodePool',
  scope: 'Cluster',
  shortNames: ['np'],
  description: 'Nodes under one name, who may use them, and what happens when one of them is not well.',
  spec: NodePoolSpec,
  status: NodePoolStatus,
  columns: {
    Nodes: { path: '.status.nodes', type: 'integer' },
    Devices: { path: '.status.devices', type: 'integer' },
    Queues: '.spec.queues',
  },
  owns: [],
});
