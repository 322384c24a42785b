/** How commands that move runs ask tracking: over HTTP like everybody. Knows its errors and its files' places. */
import { openAsBlob } from 'node:fs';
import { fromReasonOf } from './tracking-errors.ts';
import { StatusError } from '../kube/status-error.ts';
import type { CommandContext } from './context.ts';
import { findRunState } from './run-state.ts';

/** Tracking, as one workspace sees it. */
export interface TrackingDoor {
  readonly url: string;
  /** POST of JSON below `/api/2.0/mlflow`; GET when there is no body. @throws what tracking refuses */
  ask<T>(path: string, body?: unknown): Promise<T>;
  /** Sends a file unless one of its size is there; tells whether it was sent. `path` is an artifact's. */
  putFile(path: string, file: string): Promise<boolean>;
}

/** Which server, and for whom. */
export interface TrackingFlags {
  readonly tracking?: string;
  readonly namespace?: string;
}

/** @throws ServiceUnavailable when no server is known */
export function openTracking({ config, env }: CommandContext, flags: TrackingFlags): TrackingDoor {
  const url = (flags.tracking ?? findRunState(config.home)?.endpoints.tracking)?.replace(/\/+$/, '');
  if (url === undefined) {
    const message =
      "cannot reach tracking: Athanor is not running, start it with 'athanor up' or name one by --tracking";
    throw new StatusError('ServiceUnavailable', message);
  }
  const token = env['MLFLOW_TRACKING_TOKEN'];
  const headers = {
    ...(flags.namespace !== undefined && { 'x-mlflow-workspace': flags.namespace }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  };
  const send = async (path: string, init: RequestInit) => {
    const answer = await fetch(`${url}/api/2.0/${path}`, { ...init, headers }).catch((cause: unknown) => {
      throw new StatusError('ServiceUnavailable', `cannot reach tracking at ${url}: it does not answer`, { cause });
    });
    return answer;
  };
  return {
    url,
    ask: async <T>(path: string, body?: unknown) => {
      const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body, sayNumbers) };
      const answer = await send(`mlflow/${path}`, init);
      const text = await answer.text();
      if (!answer.ok) throw fromReasonOf(answer.status, text);
      return JSON.parse(text) as T; // why: tracking's own shapes, named by the caller
    },
    putFile: async (path, file) => {
      const place = `mlflow-artifacts/artifacts/${path.split('/').map(encodeURIComponent).join('/')}`;
      const blob = await openAsBlob(file);
      const there = await send(place, { method: 'HEAD' });
      if (there.ok && there.headers.get('content-length') === String(blob.size)) return false;
      const answer = await send(place, { method: 'PUT', body: blob });
      if (!answer.ok) throw fromReasonOf(answer.status, await answer.text());
      return true;
    },
  };
}

/** What JSON cannot say goes in quotes, as protobuf's JSON mapping has it. */
function sayNumbers(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}
