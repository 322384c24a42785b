/** Label and field selectors: parse and match. The grammar is Kubernetes' (apimachinery pkg/labels, pkg/fields). */
import { isJsonObject } from '../base/json.ts';
import type { KubeObject } from './object.ts';
import { StatusError } from './status-error.ts';

/** One requirement; `exists` and `absent` have no values. */
export interface Requirement {
  readonly key: string;
  readonly operator: 'in' | 'notin' | 'exists' | 'absent' | 'gt' | 'lt';
  readonly values: readonly string[];
}

/** All requirements must hold. The empty selector matches everything. */
export type Selector = readonly Requirement[];

const TOKEN = /\s*(?:(\()|(\))|(,)|(==|!=|=|>|<|!)|([^\s(),=!<>]+))/y;

/** Parses a label selector such as `app=web,tier in (a, b),!canary`. @throws BadRequest where it does not parse. */
export function parseLabelSelector(text: string): Selector {
  const tokens = tokenize(text);
  const requirements: Requirement[] = [];
  let next = 0;
  while (next < tokens.length) {
    const parsed = parseRequirement(tokens, next, text);
    requirements.push(parsed.requirement);
    next = parsed.next;
    if (next === tokens.length) break;
    if (tokens[next] !== ',') throw malformed(text, `expected ',' before '${tokens[next]}'`);
    next++;
    if (next === tokens.length) throw malformed(text, "ends with ','");
  }
  return requirements;
}

interface Parsed {
  readonly requirement: Requirement;
  readonly next: number;
}

function parseRequirement(tokens: readonly string[], start: number, text: string): Parsed {
  const first = tokens[start] ?? '';
  if (first === '!') {
    return { requirement: { key: word(tokens[start + 1], text), operator: 'absent', values: [] }, next: start + 2 };
  }
  const key = word(first, text);
  const operator = tokens[start + 1];
  if (operator === undefined || operator === ',') {
    return { requirement: { key, operator: 'exists', values: [] }, next: start + 1 };
  }
  if (operator === 'in' || operator === 'notin') return parseSet({ tokens, start: start + 2, text, key, operator });
  const meaning = COMPARISON[operator];
  if (meaning === undefined) throw malformed(text, `'${operator}' is not an operator`);
  const value = tokens[start + 2];
  const isEmpty = value === undefined || value === ',';
  const values = [isEmpty ? '' : word(value, text)];
  return { requirement: { key, operator: meaning, values }, next: start + (isEmpty ? 2 : 3) };
}

const COMPARISON: Readonly<Record<string, Requirement['operator']>> = {
  '=': 'in',
  '==': 'in',
  '!=': 'notin',
  '>': 'gt',
  '<': 'lt',
};

interface SetTokens {
  readonly tokens: readonly string[];
  readonly start: number;
  readonly text: string;
  readonly key: string;
  readonly operator: 'in' | 'notin';
}

function parseSet({ tokens, start, text, key, operator }: SetTokens): Parsed {
  if (tokens[start] !== '(') throw malformed(text, `expected '(' after '${operator}'`);
  const end = tokens.indexOf(')', start);
  if (end < 0) throw malformed(text, "a ')' is missing");
  const values = tokens
    .slice(start + 1, end)
    .filter((token) => token !== ',')
    .map((token) => word(token, text));
  return { requirement: { key, operator, values }, next: end + 1 };
}

function tokenize(text: string): readonly string[] {
  const tokens: string[] = [];
  let position = 0;
  while (text.slice(position).trim() !== '') {
    TOKEN.lastIndex = position;
    const match = TOKEN.exec(text);
    if (match === null) throw malformed(text, `unexpected character at ${position}`);
    tokens.push(match[0].trim());
    position = TOKEN.lastIndex;
  }
  return tokens;
}

function word(token: string | undefined, text: string): string {
  if (token === undefined || /^[(),=!<>]/.test(token)) throw malformed(text, 'a name or value is missing');
  return token;
}

function malformed(text: string, why: string): StatusError {
  return new StatusError('BadRequest', `cannot parse selector '${text}': ${why}`);
}

/** True when the labels meet every requirement. A missing key meets `notin` and `absent`. */
export function matchesLabels(selector: Selector, labels: Readonly<Record<string, string>> | undefined): boolean {
  return selector.every((requirement) => meets(requirement, labels?.[requirement.key]));
}

function meets({ operator, values }: Requirement, value: string | undefined): boolean {
  switch (operator) {
    case 'exists':
      return value !== undefined;
    case 'absent':
      return value === undefined;
    case 'notin':
      return value === undefined || !values.includes(value);
    case 'in':
      return value !== undefined && values.includes(value);
    case 'gt':
      return value !== undefined && Number(value) > Number(values[0]);
    case 'lt':
      return value !== undefined && Number(value) < Number(values[0]);
  }
}

/** Parses a field selector: `path=value`, `path==value`, `path!=value`, joined by commas. @throws BadRequest. */
export function parseFieldSelector(text: string): Selector {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => {
      const match = /^([^=!]+)(==|!=|=)(.*)$/.exec(part);
      if (match === null) throw malformed(text, `'${part}' is not path=value`);
      const [, key = '', operator = '=', value = ''] = match;
      return { key: key.trim(), operator: operator === '!=' ? ('notin' as const) : ('in' as const), values: [value] };
    });
}

/** True when the object's fields meet the selector; a missing field reads as ''. */
export function matchesFields(selector: Selector, object: KubeObject): boolean {
  return selector.every((requirement) => meets(requirement, readField(object, requirement.key)));
}

function readField(object: KubeObject, path: string): string {
  let value: unknown = object;
  for (const name of path.split('.')) value = isJsonObject(value) ? value[name] : undefined;
  return value === undefined || value === null ? '' : String(value);
}
