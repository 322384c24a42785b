/**
 * Regular expressions that strangers send, with one meaning on both databases: RE2's, which takes time in proportion to
 * the text and has no way to take more. Only what `\w`, `\b` and classes by name take for letters beyond ASCII is the
 * database's: none on SQLite, those of the locale on PostgreSQL. Sources: RE2's wiki, Syntax; PostgreSQL's
 * documentation, 9.7.3.
 */
import { RE2JS, RE2JSException } from 're2js';

/** Longer ones are programs. */
export const EXPRESSION_LENGTH_MAX = 1_000;
const COMPILED_MAX = 32;
/** Classes, escapes and groups whole; everything else by character. */
const TOKEN = /\[\^?\]?(?:\[:\^?\w+:\]|\\[^]|[^\]\\])*\]|\\x\{[^}]*\}|\\x..|\\[^]|\(\?P?<[^>]*>|\(\?[\w-]+[:)]|[^]/gu;
const FLAGS = /^\(\?([ims]+)\)/;
/** Escapes that PostgreSQL spells otherwise; it takes `\b` for a backspace. */
const POSTGRES_ESCAPES: Readonly<Record<string, string>> = { '\\b': '\\y', '\\B': '\\Y', '\\z': '\\Z', '.': '[^\\n]' };

/** Why this cannot be used, or undefined. */
export function findExpressionProblem(source: string): string | undefined {
  if (source.length > EXPRESSION_LENGTH_MAX) return `it has more than ${EXPRESSION_LENGTH_MAX} characters`;
  try {
    RE2JS.compile(source);
  } catch (error) {
    if (error instanceof RE2JSException) return error.message.replace(/^error parsing regexp: /, '');
    throw error;
  }
  const tokens = source.replace(FLAGS, '').match(TOKEN) ?? [];
  const odd = tokens.find((token) => /\\[pPQEC0-9]/.test(token) || /^\(\?[\w-]+[:)]$/.test(token));
  return odd === undefined ? undefined : `${odd} is not read here`;
}

/** Looks for expressions, and keeps them compiled: a search asks for each row. */
export class ExpressionFinder {
  readonly #compiled = new Map<string, RE2JS>();

  /** Whether it is found anywhere in the text. @throws RE2JSException for what has a problem */
  isFound(source: string, text: string): boolean {
    return this.#compile(source).matcher(text).find();
  }

  #compile(source: string): RE2JS {
    const known = this.#compiled.get(source);
    if (known) return known;
    const made = RE2JS.compile(source);
    const [oldest] = this.#compiled.keys();
    if (this.#compiled.size >= COMPILED_MAX && oldest !== undefined) this.#compiled.delete(oldest);
    this.#compiled.set(source, made);
    return made;
  }
}

/** The same for PostgreSQL's `~`; of what has a problem, nothing is promised. */
export function toPostgresExpression(source: string): string {
  const flags = FLAGS.exec(source)?.[1] ?? '';
  const isDotAll = flags.includes('s');
  const rest = source.replace(FLAGS, '').replaceAll(TOKEN, (token) => {
    if (token === '.' && isDotAll) return token;
    if (/^\(\?P?</.test(token)) return '(';
    if (token.startsWith('[')) return token.replaceAll(/\\x\{[^}]*\}|\\x..|\\[^]/gu, toPostgresCode);
    return POSTGRES_ESCAPES[token] ?? toPostgresCode(token);
  });
  // PostgreSQL's own default lets a dot be a newline.
  return `(?${flags.includes('i') ? 'i' : ''}${flags.includes('m') ? 'w' : 's'})${rest}`;
}

/** PostgreSQL's `\x` takes all digits that follow. */
function toPostgresCode(token: string): string {
  const digits = /^\\x\{?([0-9a-fA-F]+)\}?$/.exec(token)?.[1];
  return digits === undefined ? token : `\\U${digits.padStart(8, '0')}`;
}
