/** What rows promise, whichever database keeps them: SQLite in memory, SQLite on disk, a real PostgreSQL. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Kysely, sql } from 'kysely';
import { startPostgres, type TestPostgres } from '../../test/postgres.ts';
import { isUniqueViolation } from './database-error.ts';
import { insertRows } from './insert-rows.ts';
import { type Migration, migrate } from './migrate.ts';
import { type Database, type DatabaseOptions, openDatabase } from './open-database.ts';

interface Schema {
  metal: { name: string; weight: number; count: number };
}

const MIGRATIONS: readonly Migration[] = [
  {
    name: '1-metal',
    up: (db) =>
      db.schema
        .createTable('metal')
        .addColumn('name', 'text', (column) => column.primaryKey())
        .addColumn('weight', 'double precision', (column) => column.notNull())
        .execute(),
  },
  {
    name: '2-count',
    up: (db) =>
      db.schema
        .alterTable('metal')
        .addColumn('count', 'bigint', (column) => column.notNull().defaultTo(0))
        .execute(),
  },
];
const PLAN = { component: 'metal', migrations: MIGRATIONS };
const GOLD = { name: 'gold', weight: 196.97, count: 2 ** 53 - 1 };
const MANY = 20_000;

let postgres: TestPostgres;
const folder = mkdtempSync(join(tmpdir(), 'athanor-sql-'));
before(async () => {
  postgres = await startPostgres();
});
after(async () => {
  await postgres.close();
  rmSync(folder, { recursive: true, force: true });
});

function suite(name: string, findOptions: () => DatabaseOptions): void {
  describe(name, () => {
    let database: Database<Schema>;
    before(async () => {
      database = openDatabase<Schema>(findOptions());
      await migrate(database, PLAN);
    });
    after(() => database.close());
    for (const [sentence, check] of Object.entries(promises)) {
      test(sentence, async () => {
        await database.db.deleteFrom('metal').execute();
        await check(database, findOptions());
      });
    }
  });
}

type Check = (database: Database<Schema>, options: DatabaseOptions) => Promise<void>;

const promises: Record<string, Check> = {
  'gives back what was inserted, whole numbers as numbers': async ({ db }) => {
    await db.insertInto('metal').values(GOLD).execute();
    assert.deepEqual({ ...(await readAll(db))[0] }, GOLD);
  },
  'says what a statement changed': async ({ db }) => {
    await db.insertInto('metal').values(GOLD).execute();
    const { numUpdatedRows } = await db.updateTable('metal').set({ count: 3 }).executeTakeFirstOrThrow();
    assert.equal(numUpdatedRows, 1n);
  },
  'runs each migration once, however many ask': async (database) => {
    const ran = await Promise.all([migrate(database, PLAN), migrate(database, PLAN)]);
    assert.deepEqual(ran, [[], []]);
  },
  'runs a first migration once when two ask at once': async (database) => {
    const plan = {
      component: 'twice',
      migrations: [{ name: 'a', up: (db: Kysely<unknown>) => createTable(db, 'twice') }],
    };
    const ran = await Promise.all([migrate(database, plan), migrate(database, plan)]);
    assert.deepEqual(ran.flat(), ['a']);
  },
  'undoes all of a migration that fails': async (database) => {
    const first = { name: 'a', up: (db: Kysely<unknown>) => createTable(db, 'half') };
    const bad = { name: 'b', up: () => Promise.reject(new Error('no')) };
    await assert.rejects(migrate(database, { component: 'half', migrations: [first, bad] }), /no/);
    assert.deepEqual(await migrate(database, { component: 'half', migrations: [first] }), ['a']);
  },
  'refuses a database that a newer version wrote': async (database) => {
    const older = { component: 'metal', migrations: MIGRATIONS.slice(0, 1) };
    await assert.rejects(migrate(database, older), /cannot migrate metal: its step 2 is 2-count/);
  },
  'rolls back a transaction that throws, and goes on': async ({ db }) => {
    const broken = db.transaction().execute(async (transaction) => {
      await transaction.insertInto('metal').values(GOLD).execute();
      throw new Error('stop');
    });
    await assert.rejects(broken, /stop/);
    assert.deepEqual(await readAll(db), []);
  },
  'keeps other queries out of a transaction': async ({ db, dialect }) => {
    const writing = db.transaction().execute(async (transaction) => {
      await transaction.insertInto('metal').values(GOLD).execute();
      const other = readAll(db);
      if (dialect === 'postgres') await other;
      return { seen: await transaction.selectFrom('metal').selectAll().execute(), other };
    });
    const { seen, other } = await writing;
    assert.equal(seen.length, 1);
    // SQLite's one connection makes the other wait; PostgreSQL shows it the state before.
    assert.equal((await other).length, dialect === 'sqlite' ? 1 : 0);
  },
  'tells a unique violation from other errors': async ({ db }) => {
    await db.insertInto('metal').values(GOLD).execute();
    const again = await failure(db.insertInto('metal').values(GOLD).execute());
    const wrong = await failure(sql`select * from nothing`.execute(db));
    assert.deepEqual([isUniqueViolation(again), isUniqueViolation(wrong)], [true, false]);
  },
  'insertRows() inserts more rows than one statement can bind': async ({ db }) => {
    const rows = Array.from({ length: MANY }, (_, index) => ({ name: `n${index}`, weight: index / 2, count: index }));
    await insertRows(db, rows, { table: 'metal' });
    const counted = await db
      .selectFrom('metal')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow();
    assert.equal(counted.count, MANY);
  },
  'insertRows() keeps or replaces what is there, as told': async ({ db }) => {
    await insertRows(db, [GOLD], { table: 'metal' });
    await insertRows(db, [{ ...GOLD, count: 1 }], { table: 'metal', keys: ['name'], onConflict: 'keep' });
    assert.equal((await readAll(db))[0]?.count, GOLD.count);
    await insertRows(db, [{ ...GOLD, count: 1 }], { table: 'metal', keys: ['name'], onConflict: 'replace' });
    assert.equal((await readAll(db))[0]?.count, 1);
  },
  'insertRows() of nothing does nothing': async ({ db }) => {
    await insertRows(db, [], { table: 'metal' });
  },
  'streams rows from SQLite; PostgreSQL would need a cursor library': async ({ db, dialect }) => {
    await db.insertInto('metal').values(GOLD).execute();
    const names = await readNames(db).catch((error: unknown) => String(error));
    if (dialect === 'sqlite') assert.deepEqual(names, ['gold']);
    else assert.match(String(names), /cursor/);
  },
  'keeps rows when it is opened again, except in memory': async ({ db }, options) => {
    await db.insertInto('metal').values(GOLD).execute();
    const again = openDatabase<Schema>(options);
    const rows = await readAll(again.db).catch(() => []);
    assert.equal(rows.length, options.path === ':memory:' ? 0 : 1);
    await again.close();
  },
};

suite('SQLite in memory', () => ({ path: ':memory:' }));
suite('SQLite on disk', () => ({ path: join(folder, 'new', 'rows.db') }));
suite('PostgreSQL', () => ({ url: postgres.url }));

test('openDatabase() says which databases it knows', () => {
  assert.throws(() => openDatabase({ url: 'mysql://host/db' }), /its URL begins with mysql:, use postgres:\/\//);
  assert.throws(() => openDatabase({}), /give either a postgres:\/\/ URL or a SQLite path/);
});

async function createTable(db: Kysely<unknown>, name: string): Promise<void> {
  await db.schema.createTable(name).addColumn('id', 'integer').execute();
}

async function readNames(db: Kysely<Schema>): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of db.selectFrom('metal').selectAll().stream()) names.push(name);
  return names;
}

async function readAll(db: Kysely<Schema>): Promise<Schema['metal'][]> {
  return db.selectFrom('metal').selectAll().execute();
}

async function failure(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}
