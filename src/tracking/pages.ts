/** The few pages that tracking serves to a browser: what this is, and one run. The console is elsewhere. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { StatusError } from '../kube/status-error.ts';
import { MLFLOW_VERSION } from './api.ts';
import { type FileEntry, findArtifactPath, listArtifacts } from './artifacts/artifacts.ts';
import { trackingOf } from './door.ts';
import { Html, html } from './html.ts';
import { parseRequest } from './request-shape.ts';
import { searchExperiments } from './runs/experiments.ts';
import { getRun, type Run, searchRuns } from './runs/run-view.ts';
import type { Shared, Tracking } from './tracking.ts';

const EXPERIMENTS_SHOWN = 100;
const RUNS_SHOWN = 20;
/** No script, no foreign content: what users logged is only ever text here. */
const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
  'x-content-type-options': 'nosniff',
};
const STYLE = new Html(
  '<style>body{font:16px/1.5 system-ui;margin:2rem auto;max-width:60rem;padding:0 1rem}' +
    'td,th{text-align:left;padding:.1rem 1rem .1rem 0;vertical-align:top;overflow-wrap:anywhere}</style>',
);

/** Adds `/` and `/experiments/:id/runs/:run`. */
export function addPages(server: FastifyInstance, shared: Shared): void {
  server.get('/', async (request, reply) =>
    reply.headers(HEADERS).send((await showFront(trackingOf(request, shared))).text),
  );
  server.get('/experiments/:experiment/runs/:run', async (request, reply) => {
    const { experiment, run: id } = parseRequest(z.object({ experiment: z.string(), run: z.string() }), request.params);
    const tracking = trackingOf(request, shared);
    const run = await getRun(tracking, id);
    if (run.info.experiment_id !== experiment) {
      throw new StatusError('NotFound', `cannot show run ${id}: it is not of experiment ${experiment}`);
    }
    const root = findArtifactPath(run.info.artifact_uri);
    const files = root === undefined ? [] : await listArtifacts(tracking.blobs, '', root);
    return reply.headers(HEADERS).send(showRun(run, files, root ?? '').text);
  });
}

async function showFront(tracking: Tracking): Promise<Html> {
  const all = { filter: '', orderBy: [], view: 'ACTIVE_ONLY' } as const;
  const experiments = await searchExperiments(tracking, { ...all, page: { offset: 0, limit: EXPERIMENTS_SHOWN } });
  const ids = experiments.items.map((experiment) => experiment.experiment_id);
  const runs = await searchRuns(tracking, ids, { ...all, page: { offset: 0, limit: RUNS_SHOWN } });
  const items = runs.items.map(({ info }) => {
    const path = `/experiments/${encodeURIComponent(info.experiment_id)}/runs/${encodeURIComponent(info.run_id)}`;
    return html`<li><a href="${path}">${info.run_name}</a> ${info.status}</li>`;
  });
  return page(
    'Athanor tracking',
    html`<p>This is a tracking server. It speaks MLflow's REST API (of version ${MLFLOW_VERSION}): set
<code>MLFLOW_TRACKING_URI</code> to this address and use any MLflow client.</p>
<p>MLflow's own pages are not here: links like <code>/#/experiments/0/runs/...</code>, which MLflow's client prints,
lead to this page, because a browser keeps what follows the # to itself. A run is at
<code>/experiments/&lt;experiment id&gt;/runs/&lt;run id&gt;</code>. Also here: <a href="/metrics">metrics</a> and
<a href="/health">health</a>.</p>
<h2>Latest runs</h2><ul>${items}</ul>`,
  );
}

function showRun({ info, data }: Run, files: readonly FileEntry[], root: string): Html {
  const facts = {
    Status: info.status,
    Experiment: info.experiment_id,
    User: info.user_id,
    Started: toTime(info.start_time),
  };
  const ended = info.end_time === undefined ? {} : { Ended: toTime(info.end_time) };
  const factRows = Object.entries({ ...facts, ...ended, Run: info.run_id }).map(([key, value]) => ({ key, value }));
  const metrics = data.metrics.map(({ key, value, step }) => ({ key, value: `${value} (step ${step})` }));
  return page(
    info.run_name,
    html`<p><a href="/">All runs</a></p>${table(factRows)}
<h2>Parameters</h2>${table(data.params)}<h2>Latest metrics</h2>${table(metrics)}<h2>Tags</h2>${table(data.tags)}
<h2>Artifacts</h2><ul>${files.map((file) => showFile(file, root))}</ul>`,
  );
}

function showFile({ path, is_dir, file_size }: FileEntry, root: string): Html {
  if (is_dir) return html`<li>${path}/</li>`;
  const link = `${root}/${path}`.split('/').map(encodeURIComponent).join('/');
  return html`<li><a href="/api/2.0/mlflow-artifacts/artifacts/${link}">${path}</a> ${file_size ?? 0} bytes</li>`;
}

function table(rows: readonly { readonly key: string; readonly value: string }[]): Html {
  if (rows.length === 0) return html`<p>None.</p>`;
  return html`<table>${rows.map(({ key, value }) => html`<tr><th>${key}</th><td>${value}</td></tr>`)}</table>`;
}

function page(title: string, body: Html): Html {
  return html`<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title>${STYLE}<h1>${title}</h1>${body}</html>`;
}

function toTime(timeMs: number): string {
  const time = new Date(timeMs);
  return Number.isNaN(time.getTime()) ? String(timeMs) : time.toISOString();
}
