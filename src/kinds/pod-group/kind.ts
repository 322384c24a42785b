/** PodGroup: pods that start together or not at all. The scheduler honours it; nothing reconciles it. */
import { z } from 'zod';
import { defineKind } from '../../kube/kind.ts';
import type { ObjectOf } from '../../kube/object.ts';
import { SCHEDULING_FIELDS, Topology } from '../fields/scheduling.ts';
import { Conditions } from '../fields/status.ts';

export const PodGroupSpec = z.object({
  minMember: z
    .number()
    .int()
    .min(1)
    .max(100_000)
    .default(1)
    .describe('Pods that must find room at the same moment, or none of them starts. More start when there is room.'),
  subGroups: z
    .array(
      z.object({
        name: z.string().min(1).describe('Pods join by the label athanor.dev/pod-sub-group.'),
        minMember: z.number().int().min(1).default(1).describe('Pods of it that must be among those that start.'),
        topology: Topology.exactOptional().describe('Which nodes belong together for these pods.'),
      }),
    )
    .max(64)
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
    .default([])
    .describe('Parts of the gang with a minimum and a place of their own.'),
  ...SCHEDULING_FIELDS,
});

export const PodGroupStatus = z.object({
  phase: z
    .enum(['Pending', 'Nominated', 'Scheduled'])
    .exactOptional()
    .describe('Whether the group waits, has room that others are leaving, or has its nodes.'),
  scheduled: z.number().int().exactOptional().describe('Members that have a node.'),
  reason: z.string().exactOptional().describe('Why it waits, in one word.'),
  position: z.number().int().exactOptional().describe('How many of its queue are tried before it.'),
  startTime: z.string().exactOptional().describe('Since when enough members have a node.'),
  conditions: Conditions.exactOptional(),
});

export type PodGroupSpec = z.infer<typeof PodGroupSpec>;
export type PodGroupStatus = z.infer<typeof PodGroupStatus>;

/** A PodGroup object. */
export type PodGroup = ObjectOf<PodGroupSpec, PodGroupStatus>;

/** Label by which a pod joins a part of its group. */
export const POD_SUB_GROUP_LABEL = 'athanor.dev/pod-sub-group';

/** Annotation with the time since when the work of the group waits, where that is longer than the group is there. */
export const QUEUED_AT_ANNOTATION = 'athanor.dev/queued-at';

export const podGroup = defineKind({
  kind: 'PodGroup',
  scope: 'Namespaced',
  shortNames: ['pg'],
  description: 'Pods that start together or not at all. A pod joins by the label athanor.dev/pod-group.',
  spec: PodGroupSpec,
  status: PodGroupStatus,
  columns: {
    Phase: '.status.phase',
    Queue: '.spec.queue',
    Min: { path: '.spec.minMember', type: 'integer' },
    Scheduled: { path: '.status.scheduled', type: 'integer' },
    Reason: '.status.reason',
  },
  conditions: { Scheduled: 'Whether enough members have a node; the message says what is missing where.' },
  owns: [],
});
