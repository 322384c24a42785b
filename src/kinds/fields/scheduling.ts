/** Fields that say how a workload is queued and placed; the same for every kind that makes pods. */
import { z } from 'zod';

export const Topology = z.object({
  required: z.string().min(1).exactOptional().describe('All members on nodes with one value of this label, or none.'),
  preferred: z
    .array(z.string().min(1))
    .max(8)
    .exactOptional()
    .describe('Labels by which to keep them together when it can be, the narrowest first.'),
});

/** Annotation of a pod without a group with these fields, as JSON. */
export const SCHEDULING_ANNOTATION = 'athanor.dev/scheduling';

/** The fields, for kinds that have them at their top. */
export const SCHEDULING_FIELDS = {
  queue: z.string().min(1).default('default').describe('The Queue whose share it uses.'),
  user: z.string().min(1).exactOptional().describe("For whom it runs; counts against the queue's limit of a user."),
  priority: z
    .number()
    .int()
    .min(-1_000_000)
    .max(1_000_000)
    .default(0)
    .describe('Larger goes first in its queue, and may stop what is smaller there.'),
  preemptible: z
    .boolean()
    .default(true)
    .describe(
      'Whether it may be stopped or moved for others. What may not must fit into what its queue is guaranteed.',
    ),
  topology: Topology.exactOptional().describe('Which nodes belong together.'),
  placement: z
    .enum(['pack', 'spread'])
    .exactOptional()
    .describe('Fullest nodes first, or emptiest. Default: where the least is left that nobody can use.'),
  exclusive: z.boolean().default(false).describe('Nodes of its own: no other workload on them.'),
  pool: z
    .string()
    .min(1)
    .exactOptional()
    .describe('NodePool whose nodes it may use. Default: any that is open to its queue.'),
  reservation: z.string().min(1).exactOptional().describe('Reservation whose room it may use.'),
  estimatedRuntimeSeconds: z
    .number()
    .int()
    .min(1)
    .exactOptional()
    .describe('How long it will run. Lets it start before others that wait for room, when it ends in time.'),
  startTimeoutSeconds: z
    .number()
    .int()
    .min(1)
    .default(300)
    .describe('A gang that has nodes for some of its pods only, for longer than this, is stopped and queued again.'),
} as const;

export const Scheduling = z.object(SCHEDULING_FIELDS);

export type Scheduling = z.infer<typeof Scheduling>;
