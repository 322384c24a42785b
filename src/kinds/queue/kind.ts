/** Queue: a share of the cluster, in a tree of shares. The scheduler honours it; nothing reconciles it. */
import { z } from 'zod';
import { defineKind } from '../../kube/kind.ts';
import { Amounts } from '../fields/resources.ts';
import { Conditions } from '../fields/status.ts';

const Seconds = z.number().int().min(0).default(0);

export const QueueSpec = z.object({
  parent: z.string().min(1).exactOptional().describe('The queue of which it is a part. Default: it stands at the top.'),
  guaranteed: Amounts.default({}).describe(
    'What its workloads get before anybody borrows: cpu, memory, nvidia.com/gpu; devices counts all accelerators.',
  ),
  limit: Amounts.default({}).describe('What its workloads may hold at most. A resource that is not named: no limit.'),
  lendingLimit: Amounts.default({}).describe(
    'How much of what it is guaranteed and does not use others may borrow. A resource that is not named: all of it.',
  ),
  overQuotaWeight: z
    .number()
    .min(0)
    .default(1)
    .describe('Its part of what is over, against its siblings. 0: it borrows nothing.'),
  priority: z.number().int().default(0).describe('Siblings with a larger one are given what is over first.'),
  order: z
    .enum(['Priority', 'LeastAttainedService'])
    .default('Priority')
    .describe(
      'Among its workloads of one priority: Priority, first come, first served; LeastAttainedService, who has had ' +
        'least device-time goes first, and those that have had much are stopped for those that have had little.',
    ),
  userLimit: Amounts.default({}).describe('What the workloads of one user may hold at most.'),
  reclaimMinRuntimeSeconds: Seconds.describe('Its workloads run at least so long before other queues take back room.'),
  moveMinRuntimeSeconds: z
    .number()
    .int()
    .min(0)
    .default(3600)
    .describe('Its workloads run at least so long before they are moved to make room: a move costs what is not saved.'),
  preemptMinRuntimeSeconds: Seconds.describe('The same before a larger priority of the queue itself does.'),
});

export const QueueStatus = z.object({
  allocated: z.record(z.string(), z.string()).exactOptional().describe('What it and all below it hold.'),
  fairShare: z.record(z.string(), z.string()).exactOptional().describe('What it may hold before others take it back.'),
  running: z.number().int().exactOptional().describe('Workloads of its own that have room.'),
  pending: z.number().int().exactOptional().describe('Workloads of its own that wait.'),
  conditions: Conditions.exactOptional(),
});

export type QueueSpec = z.infer<typeof QueueSpec>;
export type QueueStatus = z.infer<typeof QueueStatus>;

export const queue = defineKind({
  kind: 'Queue',
  scope: 'Cluster',
  shortNames: ['q'],
  description: 'A share of the cluster, in a tree of shares: what is guaranteed, what may be borrowed, who goes first.',
  spec: QueueSpec,
  status: QueueStatus,
  columns: {
    Parent: '.spec.parent',
    Guaranteed: '.spec.guaranteed.devices',
    Limit: '.spec.limit.devices',
    Fair: '.status.fairShare.devices',
    Allocated: '.status.allocated.devices',
    Running: { path: '.status.running', type: 'integer' },
    Pending: { path: '.status.pending', type: 'integer' },
  },
  conditions: { Ready: 'Whether it has a place in the tree and its promises can be kept; the message says why not.' },
  owns: [],
});
