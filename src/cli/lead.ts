/**
 * Runs the loops of which there may be only one in a cluster, controllers and scheduler, while this process holds the
 * lease. Knows not what they do.
 */
import { holdLease, type LeaseOptions } from '../client/lease.ts';
import type { ApiClient } from '../client/types.ts';
import { StatusError } from '../kube/status-error.ts';

/** Something that acts until it is closed. */
export interface Loop {
  readonly synced: Promise<void>;
  close(): Promise<void>;
}

/** Waits for its turn to lead, again and again. */
export interface Leader {
  /**
   * Resolves when the loops of the first term had their first lists, or when the lease could not be asked for (a full
   * disk): it goes on asking. Never while others lead.
   */
  readonly synced: Promise<void>;
  /** Stops the loops, then gives the lease away so that the next one need not wait. */
  close(): Promise<void>;
}

/**
 * `start` is called at the beginning of each term, with a client that lets nothing be written any more once the term
 * is over.
 */
export function leadLoops(options: LeaseOptions, start: (client: ApiClient) => readonly Loop[]): Leader {
  const stop = new AbortController();
  const { promise: synced, resolve } = Promise.withResolvers<void>();
  const lead = async (signal: AbortSignal) => {
    const loops = start(untilAborted(options.client, signal));
    void Promise.all(loops.map((loop) => loop.synced)).then(() => resolve());
    await new Promise<void>((over) => signal.addEventListener('abort', () => over(), { once: true }));
    await Promise.all(loops.map((loop) => loop.close()));
  };
  const report = (error: unknown) => {
    options.report?.(error);
    resolve();
  };
  const held = holdLease({ ...options, report }, lead, stop.signal);
  return {
    synced,
    close: async () => {
      stop.abort();
      await held;
    },
  };
}

/** Work that was under way when the term ended must not write beside the next leader. */
function untilAborted(client: ApiClient, signal: AbortSignal): ApiClient {
  const guard = <Args extends readonly unknown[], T>(write: (...args: Args) => Promise<T>) => {
    return async (...args: Args): Promise<T> => {
      if (!signal.aborted) return write(...args);
      throw new StatusError('ServiceUnavailable', 'cannot write: this process leads no more, the next leader goes on');
    };
  };
  const { create, update, updateStatus, patch, delete: remove, request } = client;
  const guarded = {
    create: guard(create),
    update: guard(update),
    updateStatus: guard(updateStatus),
    patch: guard(patch),
    delete: guard(remove),
    request: guard(request),
  };
  return { ...client, ...guarded } as ApiClient; // why: the same functions, less their type parameters
}
