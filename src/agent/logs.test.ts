/** Real files: lines cut, rotated, read and followed. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { PassThrough } from 'node:stream';
import { after, test } from 'node:test';
import { VirtualClock } from '../base/clock.ts';
import { LOG_LINE_MAX_BYTES } from './limits.ts';
import { LineCutter, parseLogLine } from './log-lines.ts';
import { type LogQuery, readLog } from './log-reader.ts';
import { LogWriter } from './log-writer.ts';

const root = mkdtempSync(`${tmpdir()}/athanor-logs-`);
after(() => rmSync(root, { recursive: true, force: true }));

async function writeLog(name: string, text: string, fileMaxBytes = 1e6): Promise<string> {
  const path = `${root}/${name}/0.log`;
  const clock = new VirtualClock(Date.parse('2026-01-02T03:04:05.678Z'));
  const writer = new LogWriter({ path, fileMaxBytes, filesMax: 3, clock, onWritten() {}, onError: assert.ifError });
  const pipe = new PassThrough();
  const consumed = writer.consume(pipe, 'stdout');
  pipe.end(text);
  await consumed;
  await writer.close();
  return path;
}

async function read(path: string, query: LogQuery): Promise<string> {
  let text = '';
  const source = { path, filesMax: 3, waitForMore: () => Promise.resolve(false) };
  for await (const part of readLog(source, query)) text += part;
  return text;
}

test('readLog() answers as kubectl logs does', async () => {
  const path = await writeLog('plain', 'one\ntwo\nlast');
  const CASES: [LogQuery, string][] = [
    [{}, 'one\ntwo\nlast'],
    [{ tailLines: 2 }, 'two\nlast'],
    [{ tailLines: 0 }, ''],
    [{ limitBytes: 5 }, 'one\nt'],
    [{ tailLines: 1, timestamps: true }, '2026-01-02T03:04:05.678000000Z last'],
    [{ sinceMs: Date.parse('2026-01-03T00:00:00Z') }, ''],
  ];
  for (const [query, want] of CASES) assert.equal(await read(path, query), want);
});

test('LogWriter rotates and keeps so many files', async () => {
  const lines = Array.from({ length: 100 }, (_, index) => `line ${index}`);
  const path = await writeLog('rotated', `${lines.join('\n')}\n`, 1000);
  assert.ok(readdirSync(`${root}/rotated`).length <= 3);
  const kept = (await read(path, {})).trim().split('\n');
  assert.deepEqual(kept, lines.slice(-kept.length));
});

test('readLog() follows across a rotation until the end', async () => {
  const path = `${root}/followed/0.log`;
  const clock = new VirtualClock();
  const writer = new LogWriter({ path, fileMaxBytes: 60, filesMax: 3, clock, onWritten() {}, onError: assert.ifError });
  const pipe = new PassThrough();
  const consumed = writer.consume(pipe, 'stderr');
  const steps = ['second\n', 'third\n', undefined];
  const waitForMore = async () => {
    const step = steps.shift();
    if (step === undefined) {
      pipe.end();
      await consumed;
      await writer.close();
      return false;
    }
    pipe.write(step);
    await new Promise((resolve) => setImmediate(resolve));
    return true;
  };
  let text = '';
  for await (const part of readLog({ path, filesMax: 3, waitForMore }, {}, new AbortController().signal)) text += part;
  assert.equal(text, 'second\nthird\n');
});

test('LineCutter splits long lines between characters, and they join again', () => {
  const cutter = new LineCutter('stdout');
  const long = `a${'ü'.repeat(LOG_LINE_MAX_BYTES)}`;
  const lines = [...cutter.cut(Buffer.from(`${long}\nx`), 0), ...cutter.finish(0)].map((line) =>
    parseLogLine(line.toString().replace(/\n$/, '')),
  );
  assert.equal(lines.map((line) => line?.text).join(''), `${long}x`);
  assert.deepEqual(
    lines.map((line) => line?.isPartial),
    [true, true, false, true],
  );
});
