/** From a filter or an order to SQL, in either dialect. Knows where each noun keeps what can be asked of it. */
import { type RawBuilder, sql } from 'kysely';
import { StatusError } from '../../kube/status-error.ts';
import type { DialectName } from '../../sql/open-database.ts';
import { toPostgresExpression } from '../../sql/regular-expression.ts';
import type { OwnerKind } from '../schema.ts';
import type { Condition, Identifier, Operator, Searchable } from './search-filter.ts';
import type { Order } from './search-order.ts';

/** SQLite joins 64 tables at most. */
const ORDERS_MAX = 20;

/** Rows that belong to the one at hand, called `found`, and which value of theirs counts. */
export interface Rows {
  readonly from: RawBuilder<unknown>;
  readonly value: RawBuilder<unknown>;
}

/** A noun that can be searched, and its columns. */
export interface SearchTarget extends Searchable {
  /** Where columns are that name no table. */
  readonly table?: string;
  /** Attribute to column, or `table.column`. */
  readonly columns: Readonly<Record<string, string>>;
  /** Column (or expression of columns) that tags and parameters call the owner. */
  readonly owner: RawBuilder<unknown>;
  readonly ownerKind: OwnerKind;
  /** Table of its metrics and the column there that names it. */
  readonly metrics?: {
    readonly table: string;
    readonly column: string;
    /** One row of each key. */
    readonly isUnique?: boolean;
  };
  /** Attributes that a row may lack; without the list, any may. */
  readonly optional?: readonly string[];
  /** Attributes that are worked out. */
  readonly expressions?: Readonly<Record<string, RawBuilder<unknown>>>;
  /** Attributes that are kept among tags or metadata. */
  readonly kept?: Readonly<Record<string, Identifier>>;
  /** Attributes that have rows of their own, of which any may match. */
  readonly rows?: Readonly<Record<string, Rows>>;
  /** What its metadata calls the owner. */
  readonly metadataKind?: OwnerKind;
}

/** A noun whose rows have one id. */
export interface IdTarget extends SearchTarget {
  readonly table: string;
  readonly id: string;
  /** How rows lie that the order asked for does not tell apart. */
  readonly tie: RawBuilder<unknown>;
}

/** The filter as one condition. */
export function toWhere(
  conditions: readonly Condition[],
  target: SearchTarget,
  dialect: DialectName,
): RawBuilder<boolean> {
  const parts = conditions.map((condition) =>
    toPredicate({ ...condition, ...findKept(condition, target) }, target, dialect),
  );
  return parts.length === 0 ? sql<boolean>`1 = 1` : sql<boolean>`${sql.join(parts, sql` and `)}`;
}

/** What to sort by, and the tables that it takes beside the noun's own. */
export interface OrderPlan {
  readonly joins: RawBuilder<unknown>;
  readonly terms: readonly RawBuilder<unknown>[];
}

/** Whichever the direction, NaN comes behind all numbers and rows without a value come last. */
export function planOrder(orders: readonly Order[], target: SearchTarget, dialect: DialectName): OrderPlan {
  checkCount(orders);
  const plans = orders.map((order, index) =>
    planOne({ ...order, ...findKept(order, target) }, target, { dialect, index }),
  );
  return {
    joins: sql.join([sql``, ...plans.map(({ join }) => join)], sql` `),
    terms: plans.flatMap(({ terms }) => terms),
  };
}

/** What to sort by where nothing can be joined. */
export function toOrderBy(
  orders: readonly Order[],
  target: SearchTarget,
  dialect: DialectName,
): readonly RawBuilder<unknown>[] {
  checkCount(orders);
  return orders.flatMap((order) => {
    const value = toValue({ ...order, ...findKept(order, target) }, target, dialect);
    return sortBy(value, order, true);
  });
}

function checkCount({ length }: readonly Order[]): void {
  if (length <= ORDERS_MAX) return;
  throw new StatusError('Invalid', `Invalid order_by: it has ${length} terms, ${ORDERS_MAX} at most.`);
}

interface OnePlan {
  readonly join: RawBuilder<unknown>;
  readonly terms: readonly RawBuilder<unknown>[];
}

function planOne(
  order: Order,
  target: SearchTarget,
  { dialect, index }: { dialect: DialectName; index: number },
): OnePlan {
  const { entity, key } = order;
  const name = `order${index}`;
  const column = (column: string) => sql.ref(`${name}.${column}`);
  const own = sql`${column('key')} = ${key}`;
  const owned = target.metrics;
  if (entity === 'metric' && owned?.isUnique) {
    const on = sql`${column(owned.column)} = ${target.owner} and ${own}`;
    const join = sql`left join ${sql.table(owned.table)} as ${sql.ref(name)} on ${on}`;
    return { join, terms: [sql`coalesce(${column('is_nan')}, 2)`, ...sortBy(column('value'), order, false)] };
  }
  if (entity === 'param' || entity === 'tag') {
    const table = sql.table(entity === 'param' ? 'tracking_params' : 'tracking_tags');
    const on = sql`${column('kind')} = ${target.ownerKind} and ${column('owner')} = ${target.owner} and ${own}`;
    return { join: sql`left join ${table} as ${sql.ref(name)} on ${on}`, terms: sortBy(column('value'), order, true) };
  }
  const value = toValue(order, target, dialect);
  const mayBeNull = entity !== 'attribute' || target.optional?.includes(key) !== false;
  return { join: sql``, terms: sortBy(value, order, mayBeNull) };
}

/** A value that is always there needs no place for none, and so may follow an index. */
function sortBy(value: RawBuilder<unknown>, { descending }: Order, mayBeNull: boolean): RawBuilder<unknown>[] {
  const term = descending ? sql`${value} desc` : sql`${value} asc`;
  return mayBeNull ? [sql`case when ${value} is null then 1 else 0 end`, term] : [term];
}

function toPredicate(condition: Condition, target: SearchTarget, dialect: DialectName): RawBuilder<unknown> {
  const { operator } = condition;
  if (condition.entity === 'attribute' && !target.rows?.[condition.key])
    return compare(toValue(condition, target, dialect), condition, dialect);
  const rows = findRows(condition, target, dialect);
  if (operator === 'IS NULL') return sql`not exists (select 1 ${rows.from})`;
  if (operator === 'IS NOT NULL') return sql`exists (select 1 ${rows.from})`;
  return sql`exists (select 1 ${rows.from} and ${compare(rows.value, condition, dialect)})`;
}

function findKept({ entity, key }: Identifier, { kept }: SearchTarget): Identifier | undefined {
  return entity === 'attribute' ? kept?.[key] : undefined;
}

function findRows({ entity, key }: Identifier, target: SearchTarget, dialect: DialectName): Rows {
  const own = entity === 'attribute' ? target.rows?.[key] : undefined;
  if (own) return own;
  if (entity === 'metric' && target.metrics) {
    return { from: sql`${fromMetrics(key, target.metrics, target)} and found.is_nan = 0`, value: sql`found.value` };
  }
  if (entity === 'dataset') {
    const from = sql`from tracking_inputs as found where found.run_id = ${target.owner}`;
    return { from, value: sql.ref(`found.${key}`) };
  }
  if (entity === 'span') return findSpans(key, target, dialect);
  if (entity === 'feedback' || entity === 'expectation') {
    const valid = sql`found.kind = ${entity} and found.name = ${key} and found.is_valid = 1`;
    const from = sql`from tracking_assessments as found where found.trace_id = ${target.owner} and ${valid}`;
    return { from, value: sql`found.value` };
  }
  const table = sql.table(entity === 'param' ? 'tracking_params' : 'tracking_tags');
  const kind = entity === 'metadata' ? target.metadataKind : target.ownerKind;
  const owned = sql`found.kind = ${kind} and found.owner = ${target.owner}`;
  return { from: sql`from ${table} as found where ${owned} and found.key = ${key}`, value: sql`found.value` };
}

function fromMetrics(
  key: string,
  { table, column }: NonNullable<SearchTarget['metrics']>,
  { owner }: SearchTarget,
): RawBuilder<unknown> {
  return sql`from ${sql.table(table)} as found where ${sql.ref(`found.${column}`)} = ${owner} and found.key = ${key}`;
}

function findSpans(key: string, { owner }: SearchTarget, dialect: DialectName): Rows {
  const from = sql`from tracking_spans as found where found.trace_id = ${owner}`;
  const attribute = /^attributes\.(.+)$/.exec(key)?.[1];
  if (attribute === undefined) return { from, value: sql.ref(`found.${key}`) };
  if (dialect === 'postgres') return { from, value: sql`(cast(found.attributes as jsonb) ->> ${attribute})` };
  return { from, value: sql`json_extract(found.attributes, ${`$."${attribute.replaceAll('"', '')}"`})` };
}

/** The value of one attribute, metric, parameter or tag of the row at hand; null when it has none. */
function toValue(identifier: Identifier, target: SearchTarget, dialect: DialectName): RawBuilder<unknown> {
  const { entity, key } = identifier;
  if (entity === 'attribute' && !target.rows?.[key]) return target.expressions?.[key] ?? toColumn(key, target);
  const { from, value } = findRows(identifier, target, dialect);
  return sql`(select max(${value}) ${from})`;
}

function toColumn(key: string, { columns, table }: SearchTarget): RawBuilder<unknown> {
  const column = columns[key] ?? key;
  return sql.ref(table === undefined || column.includes('.') ? column : `${table}.${column}`);
}

function compare(value: RawBuilder<unknown>, condition: Condition, dialect: DialectName): RawBuilder<unknown> {
  const { operator, values } = condition;
  if (operator === 'IN') return sql`${value} in (${sql.join(values)})`;
  if (operator === 'NOT IN') return sql`${value} not in (${sql.join(values)})`;
  if (operator === 'RLIKE') return isFoundIn(value, String(values[0]), dialect);
  if (operator === 'LIKE' || operator === 'ILIKE')
    return matches(value, { operator, pattern: String(values[0]) }, dialect);
  const [right] = values;
  if (typeof right !== 'number') return sql`${value} ${sql.raw(operator)} ${right}`;
  // Values of assessments are kept as texts.
  const isText = condition.entity === 'feedback' || condition.entity === 'expectation';
  const left = isText ? toNumber(value, dialect) : value;
  // PostgreSQL would take it for a number of the column's own type, which may be whole.
  const isOdd = dialect === 'postgres' && !Number.isSafeInteger(right);
  return sql`${left} ${sql.raw(operator)} ${isOdd ? sql`(${right})::double precision` : right}`;
}

/** A text as the number that it is, as JSON writes one; null for any other. */
function toNumber(value: RawBuilder<unknown>, dialect: DialectName): RawBuilder<unknown> {
  if (dialect === 'postgres') {
    const number = '^-?[0-9]{1,200}([.][0-9]{1,200})?([eE][-+]?[0-9]{1,3})?$';
    return sql`case when ${value} ~ ${number} then cast(${value} as numeric) end`;
  }
  const isNumber = sql`json_valid(${value}) and json_type(${value}) in ('integer', 'real')`;
  return sql`case when ${isNumber} then cast(${value} as double precision) end`;
}

function isFoundIn(value: RawBuilder<unknown>, expression: string, dialect: DialectName): RawBuilder<unknown> {
  if (dialect === 'postgres') return sql`${value} ~ ${toPostgresExpression(expression)}`;
  return sql`${value} regexp ${expression}`;
}

/** SQLite's LIKE ignores case, so its GLOB stands in for LIKE; PostgreSQL's would take a backslash for an escape. */
function matches(
  value: RawBuilder<unknown>,
  { operator, pattern }: { operator: Operator; pattern: string },
  dialect: DialectName,
): RawBuilder<unknown> {
  if (dialect === 'postgres') return sql`${value} ${sql.raw(operator)} ${pattern} escape ''`;
  if (operator === 'LIKE') return sql`${value} glob ${likeToGlob(pattern)}`;
  return sql`lower(${value}) like lower(${pattern})`;
}

/** A LIKE pattern in GLOB's signs. */
export function likeToGlob(pattern: string): string {
  const signs: Readonly<Record<string, string>> = { '%': '*', _: '?', '*': '[*]', '?': '[?]', '[': '[[]' };
  return pattern.replaceAll(/[%_*?[]/g, (sign) => signs[sign] ?? sign);
}
