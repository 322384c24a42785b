/** Reads the one-file form of the Philly trace: jobs by time of submission, a tenant each. */
import { StatusError } from '../../kube/status-error.ts';
import { CsvProblems, type CsvRow, parseCsv } from './csv.ts';
import type { TraceJob } from './jobs.ts';

const COLUMNS = ['timestamp', 'duration', 'num_gpus', 'cluster'] as const;
const MOST_DEVICES = 4096;

/** Times count from the first submission. @throws Invalid with line numbers; nothing of a bad file is used. */
export function parsePhillyJobs(text: string, file: string): readonly TraceJob[] {
  const rows = parseCsv(text, file, COLUMNS);
  const problems = new CsvProblems(file);
  const jobs = rows.map((row) => toJob(row, problems));
  problems.check();
  if (jobs.length === 0) throw new StatusError('Invalid', `cannot read ${file}: there is no job in it`);
  const firstMs = jobs.reduce((least, { submitMs }) => Math.min(least, submitMs), Number.POSITIVE_INFINITY);
  return jobs.map((job) => ({ ...job, submitMs: job.submitMs - firstMs }));
}

function toJob(row: CsvRow, problems: CsvProblems): TraceJob {
  const { line, cells } = row;
  const tenant = cells['cluster'] ?? '';
  if (tenant === '') problems.add(line, 'cluster is empty');
  return {
    name: `job-${line}`,
    submitMs: readTime(row, problems),
    durationMs: problems.wholeNumber(row, 'duration', { least: 1 }) * 1000,
    devices: problems.wholeNumber(row, 'num_gpus', { least: 1, most: MOST_DEVICES }),
    tenant,
  };
}

/** `2017-09-04 10:30:41`: no zone is said, and only differences count. */
function readTime({ line, cells }: CsvRow, problems: CsvProblems): number {
  const text = cells['timestamp'] ?? '';
  const isTime = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/.test(text);
  const ms = isTime ? Date.parse(`${text.replace(' ', 'T')}Z`) : Number.NaN;
  if (Number.isNaN(ms)) problems.add(line, `timestamp is '${text}', want YYYY-MM-DD hh:mm:ss`);
  return ms;
}
