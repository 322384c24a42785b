/** How tracking's tables came to be, step by step. A step that has shipped is never changed. */
import { type CreateTableBuilder, type Kysely, sql } from 'kysely';
import type { Migration, MigrationPlan } from '../sql/migrate.ts';
import type { DialectName } from '../sql/open-database.ts';
import { DEFAULT_WORKSPACE } from './tracking.ts';

type Column = 'text' | 'text?' | 'bigint' | 'bigint?' | 'double precision' | 'integer';

/** One table: columns by name, the key's columns, and indexes as lists of columns. */
interface Table {
  readonly columns: Readonly<Record<string, Column>>;
  readonly key: readonly string[];
  readonly indexes?: readonly (readonly string[])[];
  readonly unique?: readonly string[];
}

const metricColumns = {
  run_id: 'text',
  key: 'text',
  timestamp: 'bigint',
  step: 'bigint',
  value: 'double precision',
  is_nan: 'integer',
} as const;
const ownedColumns = { kind: 'text', owner: 'text', key: 'text', value: 'text' } as const;
const times = { creation_time: 'bigint', last_update_time: 'bigint' } as const;

const FIRST_TABLES: Readonly<Record<string, Table>> = {
  tracking_counters: { columns: { name: 'text', value: 'bigint' }, key: ['name'] },
  tracking_experiments: {
    columns: {
      experiment_id: 'text',
      workspace: 'text',
      name: 'text',
      artifact_location: 'text',
      lifecycle_stage: 'text',
      ...times,
    },
    key: ['experiment_id'],
    unique: ['workspace', 'name'],
  },
  tracking_runs: {
    columns: {
      run_id: 'text',
      experiment_id: 'text',
      run_name: 'text',
      user_id: 'text',
      status: 'text',
      start_time: 'bigint',
      end_time: 'bigint?',
      artifact_uri: 'text',
      lifecycle_stage: 'text',
    },
    key: ['run_id'],
    indexes: [['experiment_id', 'lifecycle_stage', 'start_time desc', 'run_id']],
  },
  // Step first: that is the order in which histories are sampled for charts.
  tracking_metrics: { columns: metricColumns, key: ['run_id', 'key', 'step', 'timestamp', 'value', 'is_nan'] },
  tracking_latest_metrics: { columns: metricColumns, key: ['run_id', 'key'], indexes: [['key', 'value']] },
  tracking_model_metrics: {
    columns: { model_id: 'text', ...metricColumns, dataset_name: 'text', dataset_digest: 'text' },
    key: ['model_id', 'run_id', 'key', 'timestamp', 'step', 'is_nan', 'value', 'dataset_name', 'dataset_digest'],
  },
  tracking_tags: { columns: ownedColumns, key: ['kind', 'owner', 'key'] },
  tracking_params: { columns: ownedColumns, key: ['kind', 'owner', 'key'] },
  tracking_inputs: {
    columns: {
      run_id: 'text',
      name: 'text',
      digest: 'text',
      source_type: 'text',
      source: 'text',
      schema: 'text?',
      profile: 'text?',
      context: 'text?',
      tags: 'text',
    },
    key: ['run_id', 'name', 'digest'],
  },
  tracking_run_models: {
    columns: { run_id: 'text', direction: 'text', model_id: 'text', step: 'bigint' },
    key: ['run_id', 'direction', 'model_id'],
  },
  tracking_logged_models: {
    columns: {
      model_id: 'text',
      experiment_id: 'text',
      name: 'text',
      model_type: 'text',
      source_run_id: 'text',
      artifact_uri: 'text',
      status: 'text',
      lifecycle_stage: 'text',
      ...times,
    },
    key: ['model_id'],
    indexes: [['experiment_id', 'creation_time']],
  },
  tracking_registered_models: {
    columns: {
      model_key: 'text',
      workspace: 'text',
      name: 'text',
      description: 'text',
      last_version: 'bigint',
      ...times,
    },
    key: ['model_key'],
    unique: ['workspace', 'name'],
  },
  tracking_model_versions: {
    columns: {
      model_key: 'text',
      version: 'bigint',
      source: 'text',
      run_id: 'text',
      run_link: 'text',
      model_id: 'text',
      user_id: 'text',
      stage: 'text',
      description: 'text',
      status: 'text',
      status_message: 'text',
      digest: 'text?',
      size_bytes: 'bigint?',
      ...times,
    },
    key: ['model_key', 'version'],
    indexes: [['run_id'], ['status']],
  },
  tracking_aliases: { columns: { model_key: 'text', alias: 'text', version: 'bigint' }, key: ['model_key', 'alias'] },
  tracking_traces: {
    columns: {
      trace_id: 'text',
      experiment_id: 'text',
      client_request_id: 'text?',
      timestamp_ms: 'bigint',
      execution_time_ms: 'bigint?',
      state: 'text',
      request_preview: 'text?',
      response_preview: 'text?',
    },
    key: ['trace_id'],
    indexes: [['experiment_id', 'timestamp_ms desc', 'trace_id']],
  },
  tracking_spans: {
    columns: {
      trace_id: 'text',
      span_id: 'text',
      parent_span_id: 'text?',
      name: 'text',
      type: 'text',
      status: 'text',
      start_us: 'bigint',
      end_us: 'bigint?',
      attributes: 'text',
      content: 'text',
    },
    key: ['trace_id', 'span_id'],
  },
  tracking_assessments: {
    columns: {
      assessment_id: 'text',
      trace_id: 'text',
      kind: 'text',
      name: 'text',
      value: 'text',
      is_valid: 'integer',
      create_ms: 'bigint',
      content: 'text',
    },
    key: ['assessment_id'],
    indexes: [['trace_id', 'name']],
  },
  tracking_lineage_events: {
    columns: { workspace: 'text', run_id: 'text', event_type: 'text', event_ms: 'bigint', content: 'text' },
    key: ['workspace', 'run_id', 'event_type', 'event_ms'],
  },
  tracking_lineage_edges: {
    columns: {
      workspace: 'text',
      job_namespace: 'text',
      job_name: 'text',
      direction: 'text',
      namespace: 'text',
      name: 'text',
      version: 'text',
      run_id: 'text',
      event_ms: 'bigint',
    },
    key: ['workspace', 'job_namespace', 'job_name', 'direction', 'namespace', 'name', 'version'],
    indexes: [['workspace', 'namespace', 'name']],
  },
  tracking_oci_blobs: {
    columns: { workspace: 'text', repository: 'text', digest: 'text', content_digest: 'text', size_bytes: 'bigint' },
    key: ['workspace', 'repository', 'digest'],
  },
  tracking_oci_manifests: {
    columns: {
      workspace: 'text',
      repository: 'text',
      digest: 'text',
      media_type: 'text',
      subject: 'text',
      content: 'text',
    },
    key: ['workspace', 'repository', 'digest'],
    indexes: [['workspace', 'repository', 'subject']],
  },
  tracking_oci_tags: {
    columns: { workspace: 'text', repository: 'text', tag: 'text', digest: 'text' },
    key: ['workspace', 'repository', 'tag'],
  },
  tracking_pushed_versions: {
    columns: { model_key: 'text', version: 'bigint', digest: 'text', media_type: 'text', content: 'text' },
    key: ['model_key', 'version'],
  },
};

const firstTables: Migration = {
  name: '1-first-tables',
  up: async (db, dialect) => {
    for (const [name, table] of Object.entries(FIRST_TABLES)) await createTable(db, { name, dialect, ...table });
  },
};

/** What rows of the first version's stores get in columns they lacked; its versions are still to be looked through. */
const OF_OLD_ROWS: Readonly<Record<string, string>> = {
  workspace: DEFAULT_WORKSPACE,
  status: 'PENDING_REGISTRATION',
  status_message: '',
};

/** Stores of the first version knew no workspaces, statuses, traces or lineage. New ones have nothing to do here. */
const tablesOfFirstVersion: Migration = {
  name: '2-tables-of-first-version',
  up: async (db, dialect) => {
    const found = new Map((await db.introspection.getTables()).map(({ name, columns }) => [name, columns]));
    if (found.get('tracking_experiments')?.some(({ name }) => name === 'workspace')) return;
    for (const [name, table] of Object.entries(FIRST_TABLES)) {
      const old = found.get(name)?.map((column) => column.name);
      if (old) await sql`create table ${sql.table(`old_${name}`)} as select * from ${sql.table(name)}`.execute(db);
      if (old) await db.schema.dropTable(name).execute();
      await createTable(db, { name, dialect, ...table });
      if (old) await takeRows(db, name, { old, now: Object.keys(table.columns) });
    }
  },
};

async function takeRows(
  db: Kysely<unknown>,
  name: string,
  { old, now }: { old: readonly string[]; now: readonly string[] },
): Promise<void> {
  const filled = now.filter((column) => old.includes(column) || column in OF_OLD_ROWS);
  const columns = sql.join(filled.map((column) => sql.ref(column)));
  const values = sql.join(
    filled.map((column) => (old.includes(column) ? sql.ref(column) : sql.lit(OF_OLD_ROWS[column]))),
  );
  const from = sql.table(`old_${name}`);
  await sql`insert into ${sql.table(name)} (${columns}) select ${values} from ${from}`.execute(db);
  await db.schema.dropTable(`old_${name}`).execute();
}

/** Rare values of runs, by their first characters: a million runs take a second to walk, an index no time at all. */
const valuesOfRuns: Migration = {
  name: '3-values-of-runs',
  up: async (db) => {
    for (const table of ['tracking_params', 'tracking_tags']) {
      const index = sql.ref(`${table}_run_value`);
      const columns = sql`key, substr(value, 1, 64)`;
      await sql`create index ${index} on ${sql.table(table)} (${columns}) where kind = 'run'`.execute(db);
    }
  },
};

/** Signatures lie beside versions: they are no part of a version's files, and so not of its digest. */
const signaturesOfVersions: Migration = {
  name: '4-signatures-of-versions',
  up: async (db, dialect) => {
    const columns = {
      model_key: 'text',
      version: 'bigint',
      digest: 'text',
      kind: 'text',
      subject: 'text',
      fingerprint: 'text',
      creation_time: 'bigint',
      size_bytes: 'bigint',
      manifest_digest: 'text',
      content: 'text',
    } as const;
    await createTable(db, {
      name: 'tracking_version_signatures',
      dialect,
      columns,
      key: ['model_key', 'version', 'digest'],
    });
  },
};

/** Every step, oldest first. */
export const trackingMigrations: MigrationPlan = {
  component: 'tracking',
  migrations: [firstTables, tablesOfFirstVersion, valuesOfRuns, signaturesOfVersions],
};

interface NewTable extends Table {
  readonly name: string;
  readonly dialect: DialectName;
}

/** In SQLite the rows lie in the key's own tree: half the space and half the writing of a key beside them. */
async function createTable(db: Kysely<unknown>, { name, dialect, ...table }: NewTable): Promise<void> {
  let builder: CreateTableBuilder<string, string> = db.schema.createTable(name);
  if (dialect === 'sqlite') builder = builder.modifyEnd(sql`without rowid`);
  for (const [column, type] of Object.entries(table.columns)) {
    builder = builder.addColumn(column, sql.raw(type.replace('?', '')), (made) =>
      type.endsWith('?') ? made : made.notNull(),
    );
  }
  await builder.addPrimaryKeyConstraint(`${name}_key`, [...table.key]).execute();
  if (table.unique) await createIndex(db, name, { columns: table.unique, unique: true });
  for (const columns of table.indexes ?? []) await createIndex(db, name, { columns, unique: false });
}

async function createIndex(
  db: Kysely<unknown>,
  table: string,
  { columns, unique }: { columns: readonly string[]; unique: boolean },
): Promise<void> {
  const index = db.schema
    .createIndex(`${table}_${columns.join('_').replaceAll(' ', '_')}`)
    .on(table)
    .expression(sql.raw(columns.join(', ')));
  await (unique ? index.unique() : index).execute();
}
