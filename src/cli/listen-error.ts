/** Says which port is taken and by what flag to choose another. */
import { StatusError } from '../kube/status-error.ts';

/** For `.catch` of anything that listens. */
export function explainListenError(what: string, port: number, flag: string): (error: unknown) => never {
  return (error) => {
    const isTaken = [error, (error as Error).cause].some(
      (one) => (one as NodeJS.ErrnoException | undefined)?.code === 'EADDRINUSE',
    ); // why: net errors carry a code
    if (!isTaken) throw error;
    throw new StatusError(
      'Conflict',
      `cannot listen for ${what}: port ${port} is taken, choose another with ${flag} (0 for any free one)`,
      { cause: error },
    );
  };
}
