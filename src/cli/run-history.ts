/** Reads whole metric histories over tracking's API, page by page. */
import type { TrackingClient } from './tracking-client.ts';

/** A point; `value` may be NaN. */
export interface HistoryPoint {
  readonly value: number;
  readonly timestamp: number;
  readonly step: number;
}

const PAGE = 25_000;

interface RunAnswer {
  readonly run: {
    readonly info: { readonly run_name?: string };
    readonly data?: { readonly metrics?: readonly { readonly key: string }[] };
  };
}

/** A run's name and the keys of its metrics. @throws NotFound */
export async function listKeys(
  door: TrackingClient,
  runId: string,
): Promise<{ readonly name: string; readonly keys: readonly string[] }> {
  const { run } = await door.ask<RunAnswer>(`runs/get?run_id=${encodeURIComponent(runId)}`);
  return { name: run.info.run_name ?? runId, keys: (run.data?.metrics ?? []).map(({ key }) => key) };
}

/** Every point of a key in order of time. */
export async function* readHistory(door: TrackingClient, runId: string, key: string): AsyncGenerator<HistoryPoint> {
  for (let token = ''; ; ) {
    const query = new URLSearchParams({ run_id: runId, metric_key: key, max_results: String(PAGE), page_token: token });
    if (token === '') query.delete('page_token');
    const page = await door.ask<{
      metrics?: readonly { value: number | string; timestamp: number | string; step?: number | string }[];
      next_page_token?: string;
    }>(`metrics/get-history?${query}`);
    for (const { value, timestamp, step = 0 } of page.metrics ?? [])
      yield { value: Number(value), timestamp: Number(timestamp), step: Number(step) };
    if (!page.next_page_token) return;
    token = page.next_page_token;
  }
}
