/**
 * MLflow's filter language: `metrics.acc > 0.9 AND params.model = 'tree'`. Pure; what becomes of a filter is search-
 * sql.ts's.
 */
import { StatusError } from '../../kube/status-error.ts';
import { findExpressionProblem } from '../../sql/regular-expression.ts';
import { type Token, tokenize } from './search-tokens.ts';

export type Entity =
  | 'attribute'
  | 'metric'
  | 'param'
  | 'tag'
  | 'dataset'
  | 'metadata'
  | 'feedback'
  | 'expectation'
  | 'span';
export type Operator =
  | '='
  | '!='
  | '<'
  | '<='
  | '>'
  | '>='
  | 'LIKE'
  | 'ILIKE'
  | 'RLIKE'
  | 'IN'
  | 'NOT IN'
  | 'IS NULL'
  | 'IS NOT NULL';

/** One comparison; a filter is all of them together. */
export interface Condition {
  readonly entity: Entity;
  readonly key: string;
  readonly operator: Operator;
  readonly values: readonly (string | number)[];
}

/** What can be asked of a noun. */
export interface Searchable {
  /** Attributes by name, other spellings included. */
  readonly attributes: Readonly<Record<string, 'text' | 'number'>>;
  readonly entities: readonly Entity[];
  /** Texts can be compared by RLIKE, but those of these attributes. */
  readonly expressionsBut?: readonly string[];
}

const ENTITIES: Readonly<Record<string, Entity>> = {
  metric: 'metric',
  metrics: 'metric',
  param: 'param',
  params: 'param',
  parameter: 'param',
  parameters: 'param',
  tag: 'tag',
  tags: 'tag',
  attribute: 'attribute',
  attributes: 'attribute',
  attr: 'attribute',
  run: 'attribute',
  dataset: 'dataset',
  datasets: 'dataset',
  trace: 'attribute',
  metadata: 'metadata',
  request_metadata: 'metadata',
  feedback: 'feedback',
  expectation: 'expectation',
  span: 'span',
};
const NUMBER_OPERATORS: readonly Operator[] = ['=', '!=', '<', '<=', '>', '>='];
const TEXT_OPERATORS: readonly Operator[] = ['=', '!=', 'LIKE', 'ILIKE', 'IN', 'NOT IN'];
const OPERATORS: readonly Operator[] = [...NUMBER_OPERATORS, ...TEXT_OPERATORS, 'RLIKE'];
const NULL_OPERATORS: readonly Operator[] = ['IS NULL', 'IS NOT NULL'];
/** What may be asked of entities that have no keys of their own. */
const FIXED_KEYS: Partial<Record<Entity, RegExp>> = {
  dataset: /^(name|digest|context)$/,
  span: /^(name|type|status|content|attributes\..+)$/,
};
/** Their rows may be there or not. */
const OPTIONAL: ReadonlySet<Entity> = new Set(['param', 'tag', 'metadata', 'feedback', 'expectation']);
/** Numbers or texts, as it was said. */
const OPEN: ReadonlySet<Entity> = new Set(['feedback', 'expectation']);
const CONDITIONS_MAX = 100;
/** Of all conditions together: SQLite binds 32,766 in a statement. */
const VALUES_MAX = 10_000;
/** SQLite takes patterns of 50,000 bytes. */
const PATTERN_LENGTH_MAX = 10_000;

/** An identifier: what it is of and its key. */
export interface Identifier {
  readonly entity: Entity;
  readonly key: string;
}

/** Reads tokens one after the other. */
export class TokenReader {
  readonly #tokens: readonly Token[];
  readonly #length: number;
  #next = 0;

  constructor(source: string) {
    this.#tokens = tokenize(source);
    this.#length = source.length;
  }

  /** Where the token that was taken last begins, or the end; counted from 1. */
  get at(): number {
    return this.#tokens[this.#next - 1]?.at ?? this.#length + 1;
  }

  get isAtEnd(): boolean {
    return this.#next >= this.#tokens.length;
  }

  /** @throws Invalid at the end. */
  take(): Token {
    const token = this.#tokens[this.#next++];
    if (!token) return this.fail('it ends too early', this.#length + 1);
    return token;
  }

  /** Takes the next token when it is this keyword or sign. */
  accept(word: string): boolean {
    const token = this.#tokens[this.#next];
    if (token?.type === 'text' || token?.text.toUpperCase() !== word) return false;
    this.#next++;
    return true;
  }

  /** @throws Invalid with what is wrong and where: by default at the token that was taken last. */
  fail(why: string, at: number = this.at): never {
    throw new StatusError('Invalid', `Invalid filter: ${why}, at character ${at}.`);
  }
}

/** @throws Invalid with what was wrong; an empty filter asks for nothing. */
export function parseFilter(source: string, searchable: Searchable): readonly Condition[] {
  const reader = new TokenReader(source);
  const conditions: Condition[] = [];
  let countValues = 0;
  while (!reader.isAtEnd) {
    conditions.push(parseCondition(reader, searchable));
    countValues += conditions.at(-1)?.values.length ?? 0;
    if (countValues > VALUES_MAX) reader.fail(`it has more than ${VALUES_MAX} values`);
    if (conditions.length > CONDITIONS_MAX) reader.fail(`it has more than ${CONDITIONS_MAX} conditions`);
    if (reader.isAtEnd) break;
    if (!reader.accept('AND')) reader.fail(`AND was expected, not ${JSON.stringify(reader.take().text)}`);
    if (reader.isAtEnd) reader.fail('it ends with AND');
  }
  return conditions;
}

/** Reads `metrics.loss`, `params."my key"`, `tags.mlflow.user` or a bare attribute. */
export function parseIdentifier(reader: TokenReader, { attributes, entities }: Searchable): Identifier {
  const parts = [takeName(reader)];
  while (reader.accept('.')) parts.push(takeName(reader));
  const [first = '', ...rest] = parts;
  const entity = rest.length > 0 ? ENTITIES[first.toLowerCase()] : 'attribute';
  const key = rest.length > 0 ? rest.join('.') : first;
  if (!entity || !entities.includes(entity)) reader.fail(`${JSON.stringify(first)} is none of ${entities.join(', ')}`);
  if (entity === 'attribute' && !Object.hasOwn(attributes, key)) {
    reader.fail(`${JSON.stringify(key)} is no attribute, use one of ${Object.keys(attributes).join(', ')}`);
  }
  const keys = FIXED_KEYS[entity];
  if (keys && !keys.test(key))
    reader.fail(`${JSON.stringify(key)} is nothing of a ${entity}, use one of ${keys.source}`);
  return { entity, key };
}

function takeName(reader: TokenReader): string {
  const token = reader.take();
  if (token.type === 'sign' || (token.type === 'text' && token.quote === "'")) {
    reader.fail(`a name was expected, not ${JSON.stringify(token.text)}`);
  }
  return token.text;
}

function parseCondition(reader: TokenReader, searchable: Searchable): Condition {
  const { entity, key } = parseIdentifier(reader, searchable);
  const operator = parseOperator(reader);
  const isNumber =
    entity === 'metric' ||
    (entity === 'attribute' && searchable.attributes[key] === 'number') ||
    (OPEN.has(entity) && /^[<>]/.test(operator));
  const allowed = listOperators({ entity, key }, searchable, isNumber);
  checkOperator(reader, { entity, key, operator }, allowed);
  return { entity, key, operator, values: parseValues(reader, operator, isNumber) };
}

function parseOperator(reader: TokenReader): Operator {
  if (reader.accept('IS')) {
    const isNot = reader.accept('NOT');
    if (!reader.accept('NULL')) reader.fail('NULL was expected behind IS');
    return isNot ? 'IS NOT NULL' : 'IS NULL';
  }
  if (reader.accept('NOT')) {
    if (!reader.accept('IN')) reader.fail('IN was expected behind NOT');
    return 'NOT IN';
  }
  for (const operator of OPERATORS) if (reader.accept(operator)) return operator;
  return reader.fail(`a comparison was expected, not ${JSON.stringify(reader.take().text)}`);
}

function listOperators(
  { entity, key }: Identifier,
  { expressionsBut }: Searchable,
  isNumber: boolean,
): readonly Operator[] {
  if (isNumber) return NUMBER_OPERATORS;
  const isExcluded = expressionsBut === undefined || (entity === 'attribute' && expressionsBut.includes(key));
  return isExcluded || (entity === 'span' && key === 'content') ? TEXT_OPERATORS : [...TEXT_OPERATORS, 'RLIKE'];
}

function checkOperator(
  reader: TokenReader,
  { entity, key, operator }: Identifier & { readonly operator: Operator },
  allowed: readonly Operator[],
): void {
  if (allowed.includes(operator)) return;
  if (NULL_OPERATORS.includes(operator) && OPTIONAL.has(entity)) return;
  reader.fail(`${entity} ${JSON.stringify(key)} cannot be compared by ${operator}, use one of ${allowed.join(' ')}`);
}

function parseValues(reader: TokenReader, operator: Operator, isNumber: boolean): (string | number)[] {
  if (NULL_OPERATORS.includes(operator)) return [];
  if (operator !== 'IN' && operator !== 'NOT IN') {
    const value = parseValue(reader, isNumber);
    const problem = operator === 'RLIKE' ? findExpressionProblem(String(value)) : undefined;
    if (problem !== undefined) return reader.fail(`the regular expression cannot be used: ${problem}`);
    const isTooLong = operator.endsWith('LIKE') && String(value).length > PATTERN_LENGTH_MAX;
    return isTooLong ? reader.fail(`a pattern has ${PATTERN_LENGTH_MAX} characters at most`) : [value];
  }
  if (!reader.accept('(')) reader.fail('( was expected behind IN');
  const values = [parseValue(reader, isNumber)];
  while (reader.accept(',')) values.push(parseValue(reader, isNumber));
  if (!reader.accept(')')) reader.fail(') was expected at the end of the list');
  return values;
}

function parseValue(reader: TokenReader, isNumber: boolean): string | number {
  const token = reader.take();
  if (isNumber) {
    if (token.type === 'number') return Number(token.text);
    return reader.fail(`a number was expected, not ${JSON.stringify(token.text)}`);
  }
  if (token.type === 'text' && token.quote !== '`') return token.text;
  return reader.fail(`a quoted text was expected, not ${JSON.stringify(token.text)}`);
}
