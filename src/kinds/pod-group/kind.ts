/** PodGroup: pods that start together or not at all. The scheduler honours it; nothing reconciles it. */
import { z } from 'zod';
import { defineKind } from '../../kube/kind.ts';
import { Conditions } from '../fields/status.ts';

export const PodGroupSpec = z.object({
  minMember: z
    .number()
    .int()
    .min(1)
    .default(1)
    .describe('Pods that must find room at the same moment, or none of them starts.'),
});

export const PodGroupStatus = z.object({
  phase: z.enum(['Pending', 'Scheduled']).exactOptional().describe('Whether the group has been given its nodes.'),
  scheduled: z.number().int().exactOptional().describe('Members that have a node.'),
  conditions: Conditions.exactOptional(),
});

export type PodGroupSpec = z.infer<typeof PodGroupSpec>;
export type PodGroupStatus = z.infer<typeof PodGroupStatus>;

export const podGroup = defineKind({
  kind: 'PodGroup',
  scope: 'Namespaced',
  shortNames: ['pg'],
  description: 'Pods that start together or not at all. A pod joins by the label athanor.dev/pod-group.',
  spec: PodGroupSpec,
  status: PodGroupStatus,
  columns: {
    Phase: '.status.phase',
    Min: { path: '.spec.minMember', type: 'integer' },
    Scheduled: { path: '.status.scheduled', type: 'integer' },
  },
  conditions: { Scheduled: 'Whether enough members have a node; the message says what is missing where.' },
  owns: [],
});
