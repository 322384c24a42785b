/** Reservation: room that is kept for named workloads from one time to another. The scheduler honours it. */
import { z } from 'zod';
import { defineKind } from '../../kube/kind.ts';
import { Resources } from '../fields/resources.ts';
import { Conditions } from '../fields/status.ts';

const Time = z.string().regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/);

export const ReservationSpec = z.object({
  queue: z.string().min(1).default('default').describe('The Queue whose share it uses.'),
  members: z.number().int().min(1).max(100_000).default(1).describe('Pods for which room is kept.'),
  resources: Resources.default({}).describe('What each of them will ask for. Pods that ask for just this use it.'),
  nodeSelector: z.record(z.string(), z.string()).default({}).describe('Labels that the nodes must have.'),
  startTime: Time.exactOptional().describe('From when, in RFC 3339. Default: from now on.'),
  durationSeconds: z.number().int().min(1).default(86_400).describe('For how long.'),
});

export const ReservationStatus = z.object({
  phase: z.enum(['Pending', 'Active', 'Expired']).exactOptional().describe('Whether room is kept now.'),
  nodes: z.array(z.string()).exactOptional().describe('Where it is kept, a node for each member.'),
  used: z.number().int().exactOptional().describe('Members whose room is in use.'),
  conditions: Conditions.exactOptional(),
});

export type ReservationSpec = z.infer<typeof ReservationSpec>;
export type ReservationStatus = z.infer<typeof ReservationStatus>;

export const reservation = defineKind({
  kind: 'Reservation',
  scope: 'Cluster',
  shortNames: ['rsv'],
  description: 'Room that is kept for the workloads that name it, from one time to another.',
  spec: ReservationSpec,
  status: ReservationStatus,
  columns: {
    Phase: '.status.phase',
    Queue: '.spec.queue',
    Members: { path: '.spec.members', type: 'integer' },
    Used: { path: '.status.used', type: 'integer' },
    Start: '.spec.startTime',
  },
  conditions: { Ready: 'Whether all its room is kept; the message says what is missing.' },
  owns: [],
});
