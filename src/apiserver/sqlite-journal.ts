/** The journal in a SQLite file, written by a worker thread so that no disk sync ever holds up the server. */
import { Worker } from 'node:worker_threads';
import { StatusError } from '../kube/status-error.ts';
import type { Journal, JournalContent, JournalEntry } from './journal.ts';
import type { JournalAnswer, JournalRequest } from './journal-worker.ts';

/**
 * Opens or creates the file. @throws InsufficientStorage from any call when the disk is full, ServiceUnavailable when
 * it refuses otherwise (read-only).
 */
export function openSqliteJournal(path: string): Journal {
  const worker = new Worker(new URL('./journal-worker.ts', import.meta.url), { workerData: { path } });
  const waiting = new Map<number, { resolve: (answer: JournalAnswer) => void; reject: (error: Error) => void }>();
  let nextId = 1;
  worker.on('message', (answer: JournalAnswer) => {
    const call = waiting.get(answer.id);
    waiting.delete(answer.id);
    if (answer.error === undefined) call?.resolve(answer);
    else call?.reject(explain(path, answer));
  });
  let ended: Error | undefined;
  const failAll = (error: Error) => {
    ended ??= error;
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  worker.on('error', failAll);
  worker.on('exit', (code) =>
    failAll(
      new StatusError('ServiceUnavailable', `cannot use cluster database ${path}: its thread ended with ${code}`),
    ),
  );
  const call = (request: Omit<JournalRequest, 'id'>) =>
    new Promise<JournalAnswer>((resolve, reject) => {
      if (ended !== undefined) return reject(ended);
      const id = nextId++;
      waiting.set(id, { resolve, reject });
      worker.postMessage({ ...request, id });
    });
  return {
    // why: the worker answers load with content
    load: async () => (await call({ verb: 'load' })).content as JournalContent,
    append: async (batch: readonly JournalEntry[]) => void (await call({ verb: 'append', batch })),
    close: async () => {
      await call({ verb: 'close' });
      worker.removeAllListeners('exit');
      await worker.terminate();
    },
  };
}

function explain(path: string, { error, isDiskFull }: JournalAnswer): StatusError {
  if (isDiskFull !== true)
    return new StatusError('ServiceUnavailable', `cannot use cluster database ${path}: ${error}`);
  const message = `cannot write cluster database ${path}: the disk is full, make room and try again`;
  return new StatusError('InsufficientStorage', message, { cause: error });
}
