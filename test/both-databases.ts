/** The two databases of rows for one test file: there before its tests, gone after them. Call it at the file's top. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import type { DatabaseOptions } from '../src/sql/open-database.ts';
import { startPostgres, type TestPostgres } from './postgres.ts';

/** Each gives an empty database of its kind whenever it is asked; PostgreSQL forgets the one that it gave before. */
export interface BothDatabases {
  readonly SQLite: () => Promise<DatabaseOptions>;
  readonly PostgreSQL: () => Promise<DatabaseOptions>;
}

/** `home` is a folder of the test's own, removed after its tests. */
export function useBothDatabases(): { readonly home: string; readonly databases: BothDatabases } {
  const home = mkdtempSync(join(tmpdir(), 'athanor-databases-'));
  let postgres: TestPostgres | undefined;
  let files = 0;
  before(async () => {
    postgres = await startPostgres();
  });
  after(async () => {
    await postgres?.close();
    rmSync(home, { recursive: true, force: true });
  });
  return {
    home,
    databases: {
      SQLite: async () => ({ path: join(home, `rows-${files++}.db`) }),
      PostgreSQL: async () => {
        if (!postgres) throw new Error('cannot open PostgreSQL: ask within a test or a hook');
        await postgres.forget();
        return { url: postgres.url };
      },
    },
  };
}
