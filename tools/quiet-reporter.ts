/** A reporter of Node's test runner for long runs: a line per file, failures in full, coverage in one line, the count last. */
import type { TestEvent } from 'node:test/reporters';
import { relative } from 'node:path';

interface Counts {
  passed: number;
  failed: number;
}

/** Yields the lines to print. The last one is `N passed, N failed`. */
export async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const counts: Counts = { passed: 0, failed: 0 };
  for await (const event of events) {
    if (event.type === 'test:pass' || event.type === 'test:fail') yield* onEnd(event, counts);
    if (event.type === 'test:coverage') {
      const { coveredLinePercent, coveredBranchPercent } = event.data.summary.totals;
      yield `coverage: ${coveredLinePercent.toFixed(1)} % of lines, ${coveredBranchPercent.toFixed(1)} % of branches\n`;
    }
  }
  yield `${counts.passed} passed, ${counts.failed} failed\n`;
}

function* onEnd(
  { type, data }: Extract<TestEvent, { type: 'test:pass' | 'test:fail' }>,
  counts: Counts,
): Generator<string> {
  const isFile = data.nesting === 0 && data.file !== undefined && data.name.endsWith('.test.ts');
  if (type === 'test:pass') {
    if (!isFile) counts.passed++;
    return;
  }
  if (!isFile) counts.failed++;
  const { error } = data.details;
  const where = data.file === undefined ? '' : ` (${relative(process.cwd(), data.file)})`;
  yield `FAIL ${data.name}${where}\n${indent(String(error.cause instanceof Error ? (error.cause.stack ?? error.cause.message) : (error.cause ?? error.stack)))}\n`;
}

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `    ${line}`)
    .join('\n');
}

// oxlint-disable-next-line import/no-default-export -- Node's runner takes a reporter only as a default export
export default report;
