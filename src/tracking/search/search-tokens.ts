/** Cuts MLflow's filter and order texts into tokens. Knows no grammar beyond them. */
import { StatusError } from '../../kube/status-error.ts';

/** `name` covers keywords too; of a quoted text only the inside is kept. */
export type Token = { /** Where it begins, counted from 1. */ readonly at: number; readonly text: string } & (
  | { readonly type: 'name' | 'number' | 'sign' }
  | { readonly type: 'text'; readonly quote: string }
);

const PATTERNS: readonly (readonly [Token['type'] | 'space', RegExp])[] = [
  ['space', /\s+/y],
  ['text', /'((?:[^']|'')*)'|"([^"]*)"|`([^`]*)`/y],
  ['number', /[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.])/y],
  ['sign', /<=|>=|!=|<>|==|[=<>(),.]/y],
  ['name', /[\p{L}_][\p{L}\p{N}_\-/:]*/uy],
  // A key may begin with a digit where a number would have ended earlier.
  ['name', /[\p{L}\p{N}_\-/:]+/uy],
];

/** @throws Invalid at the first character that begins no token. */
export function tokenize(source: string): readonly Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < source.length; ) {
    const { token, end } = readToken(source, at);
    if (token) tokens.push(token);
    at = end;
  }
  return tokens;
}

function readToken(source: string, at: number): { token?: Token; end: number } {
  for (const [type, shared] of PATTERNS) {
    const pattern = new RegExp(shared);
    pattern.lastIndex = at;
    const match = pattern.exec(source);
    if (!match) continue;
    const end = pattern.lastIndex;
    if (type === 'space') return { end };
    return { token: toToken(type, match, at + 1), end };
  }
  const rest = source.slice(at, at + 20);
  throw new StatusError('Invalid', `Invalid filter: nothing begins with ${JSON.stringify(rest)} at ${at + 1}.`);
}

function toToken(type: Token['type'], match: RegExpExecArray, at: number): Token {
  const [whole, single, double, back] = match;
  if (type !== 'text') return { type, at, text: whole === '<>' ? '!=' : whole === '==' ? '=' : whole };
  const text = single?.replaceAll("''", "'") ?? double ?? back ?? '';
  return { type, at, text, quote: whole.charAt(0) };
}
