/** The `resources` field: what one pod asks for, in Kubernetes' own words. */
import { z } from 'zod';
import { QUANTITY_PATTERN } from '../../kube/quantity.ts';

const Amounts = z.record(
  z.string(),
  z.union([z.string().regex(new RegExp(QUANTITY_PATTERN)), z.number()]).meta({
    'x-kubernetes-int-or-string': true,
    pattern: QUANTITY_PATTERN,
  }),
);

export const Resources = z.object({
  requests: Amounts.exactOptional().describe(
    'What the scheduler keeps free for the pod: cpu, memory, nvidia.com/gpu and others.',
  ),
  limits: Amounts.exactOptional().describe('What the pod may use at most.'),
});

export type Resources = z.infer<typeof Resources>;

export const EnvVariable = z.object({
  name: z.string().min(1).describe('Name of the environment variable.'),
  value: z.string().default('').describe('Its value.'),
});
