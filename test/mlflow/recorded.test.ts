/** What real clients sent, recorded by record.ts, sent again: the same answers, on SQLite and on PostgreSQL. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { DatabaseOptions } from '../../src/sql/open-database.ts';
import { startTestTracking } from '../../src/tracking/test-tracking.ts';
import { useBothDatabases } from '../both-databases.ts';
import { type Exchange, IdNames, plainAnswer, readBody, writeBody } from './exchange.ts';

const FOLDER = join(import.meta.dirname, 'recorded');

const { home, databases } = useBothDatabases();

for (const file of readdirSync(FOLDER)) {
  for (const [dialect, open] of Object.entries(databases)) {
    test(`${file} has the recorded answers, on ${dialect}`, async () => replay(file, await open()));
  }
}

async function replay(file: string, database: DatabaseOptions): Promise<void> {
  const lines = readFileSync(join(FOLDER, file), 'utf8').trimEnd().split('\n');
  const exchanges = lines.map((line): Exchange => JSON.parse(line));
  const server = await startTestTracking({ home, database });
  const names = new IdNames();
  try {
    for (const [index, { method, path, headers, body, status, answer }] of exchanges.entries()) {
      const bytes = readBody(names.show(body));
      const url = server.url + names.show(path);
      const response = await fetch(url, { method, headers, ...(bytes.length > 0 && { body: bytes }) });
      const got = plainAnswer(writeBody(Buffer.from(await response.arrayBuffer())), names);
      assert.deepEqual({ status: response.status, answer: got }, { status, answer }, `${index + 1}: ${method} ${path}`);
    }
  } finally {
    await server.close();
  }
}
