/** Many runs at once, put straight into the tables of our tracking and of MLflow's, the same in both: by HTTP it takes hours. */
import { DatabaseSync } from 'node:sqlite';
import { Client } from 'pg';

/** How many, of what. */
export interface Volume {
  readonly runs: number;
  /** Metrics, parameters and tags of each run. */
  readonly keysPerRun: number;
  /** The first runs have a long history of `loss`, of so many points. */
  readonly histories: number;
  readonly pointsPerHistory: number;
  /** One run in so many has the same value of the parameter `rare`; without it, no run has that parameter. */
  readonly oneIn?: number;
}

export type Owner = 'ours' | 'theirs';

/** The experiment that holds them; both servers call it 1. */
export const EXPERIMENT_ID = '1';

/** The id of a run by its number. */
export function runIdOf(index: number): string {
  return index.toString(16).padStart(32, '0');
}

/** Fills a database whose tables are there: a file, or a postgres:// URL. */
export async function fill(database: string, owner: Owner, volume: Volume): Promise<void> {
  if (!database.includes('://')) return fillSqlite(database, owner, volume);
  const client = new Client(database);
  await client.connect();
  for (const insert of planInserts(owner, POSTGRES, volume)) await client.query(toSql(insert, POSTGRES, volume));
  // As autovacuum leaves them within a minute.
  await client.query('vacuum (analyze)');
  await client.end();
}

function fillSqlite(database: string, owner: Owner, volume: Volume): void {
  const open = new DatabaseSync(database);
  open.exec('pragma synchronous = off; begin');
  for (const insert of planInserts(owner, SQLITE, volume)) open.exec(toSql(insert, SQLITE, volume));
  open.exec('commit; analyze; pragma wal_checkpoint(truncate)');
  open.close();
}

interface Dialect {
  /** A table `name` of one column, also `name`: the numbers from 0 to below `count`. */
  readonly numbers: (name: string, count: number) => string;
  /** The number of a run as its id. */
  readonly id: string;
  readonly false: string;
}

const SQLITE: Dialect = {
  numbers: (name, count) =>
    `(with recursive n(${name}) as (select 0 union all select ${name} + 1 from n where ${name} + 1 < ${count})
      select ${name} from n) as ${name}s`,
  id: "printf('%032x', run)",
  false: '0',
};

const POSTGRES: Dialect = {
  numbers: (name, count) => `(select ${name} from generate_series(0, ${count - 1}) as ${name}) as ${name}s`,
  id: "lpad(to_hex(run), 32, '0')",
  false: 'false',
};

/** Column to expression over the numbers `run`, `item` and `point`. */
interface Insert {
  readonly table: string;
  readonly columns: Readonly<Record<string, string>>;
  readonly of: 'one' | 'runs' | 'items' | 'points';
}

function planInserts(owner: Owner, { id, ...dialect }: Dialect, { oneIn }: Volume): readonly Insert[] {
  const isOurs = owner === 'ours';
  const table = (name: string) => (isOurs ? `tracking_${name}` : name);
  const runId = { [isOurs ? 'run_id' : 'run_uuid']: id };
  const owned = isOurs ? { kind: "'run'", owner: id } : runId;
  const experiment = { experiment_id: isOurs ? `'${EXPERIMENT_ID}'` : EXPERIMENT_ID };
  const life = { lifecycle_stage: "'active'" };
  const point = { ...runId, is_nan: isOurs ? '0' : dialect.false };
  const metric = {
    ...point,
    key: "'metric-' || item",
    timestamp: '1000',
    step: '1',
    value: '(run * 31 + item) % 1000 / 1000.0',
  };
  const loss = { ...point, key: "'loss'", timestamp: '1000 + point', step: 'point', value: '1.0 / (point + 1)' };
  const times = { creation_time: '1', last_update_time: '1' };
  const names = { name: "'bench'", workspace: "'default'", artifact_location: "'mlflow-artifacts:/1'" };
  const run = { user_id: "'u'", status: "'FINISHED'", start_time: '1000 + run', end_time: '2000 + run' };
  const runName = { [isOurs ? 'run_name' : 'name']: "'run-' || run", artifact_uri: "'mlflow-artifacts:/1/' || run" };
  const pair = (noun: string) => ({ ...owned, key: `'${noun}-' || item`, value: "'value-' || ((run + item) % 100)" });
  const rare = { ...owned, key: "'rare'", value: `'value-' || (run % ${oneIn})` };
  return [
    { table: table('experiments'), columns: { ...experiment, ...names, ...life, ...times }, of: 'one' },
    { table: table('runs'), columns: { ...runId, ...experiment, ...runName, ...run, ...life }, of: 'runs' },
    { table: table('latest_metrics'), columns: metric, of: 'items' },
    { table: table('metrics'), columns: metric, of: 'items' },
    { table: table('params'), columns: pair('param'), of: 'items' },
    ...(oneIn === undefined ? [] : [{ table: table('params'), columns: rare, of: 'runs' } as const]),
    { table: table('tags'), columns: pair('tag'), of: 'items' },
    { table: table('metrics'), columns: loss, of: 'points' },
  ];
}

function toSql({ table, columns, of }: Insert, { numbers }: Dialect, volume: Volume): string {
  const sources = {
    one: numbers('run', 1),
    runs: numbers('run', volume.runs),
    items: `${numbers('run', volume.runs)} cross join ${numbers('item', volume.keysPerRun)}`,
    points: `${numbers('run', volume.histories)} cross join ${numbers('point', volume.pointsPerHistory)}`,
  };
  const into = `insert into ${table} (${Object.keys(columns).join(', ')})`;
  // What is logged of a run lies together; PostgreSQL may cross the two the other way round.
  const order = of === 'items' ? 'order by run, item' : '';
  return `${into} select ${Object.values(columns).join(', ')} from ${sources[of]} ${order}`;
}
