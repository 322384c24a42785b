/** All sequences of requests by what they try. */
import { experiments } from './experiment-sequences.ts';
import { loggedModels, registry } from './model-sequences.ts';
import { refusals } from './refusals.ts';
import { runs } from './run-sequences.ts';
import type { Step } from './steps.ts';
import { traces } from './trace-sequences.ts';

/** Each may be played on a server that others were played on before. */
export const SEQUENCES: Readonly<Record<string, readonly Step[]>> = {
  ...experiments,
  ...runs,
  ...loggedModels,
  ...registry,
  ...traces,
  ...refusals,
};
