/** The house rules that neither the compiler nor the linter knows: floors, siblings, circles, line lengths, first sentences, names. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { findFloor, LIMITS, roomOf } from './rooms.ts';

const ROOT = join(import.meta.dirname, '..');
const SRC = join(ROOT, 'src');

interface Source {
  /** Relative to src/. */
  readonly path: string;
  readonly text: string;
  /** Relative to src/. */
  readonly imports: readonly string[];
}

const sources: readonly Source[] = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((path) => /\.tsx?$/.test(path))
  .map((path) => {
    const text = readFileSync(join(SRC, path), 'utf8');
    return { path, text, imports: listImports(path, text) };
  });
const production = sources.filter(({ path }) => !isTest(path));

function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || basename(path).startsWith('test-');
}

function listImports(path: string, text: string): readonly string[] {
  const found = text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g);
  return [...found].map(([, target = '']) => relative(SRC, join(SRC, dirname(path), target)));
}

/** Fails with one line per offence. */
function expectNone(offences: readonly string[]): void {
  assert.deepEqual([...new Set(offences)], []);
}

test('every file stands in a room of tools/rooms.ts', () => {
  expectNone(sources.filter(({ path }) => findFloor(path) === undefined).map(({ path }) => path));
});

test('no file imports upward or from a sibling room', () => {
  expectNone(
    sources.flatMap(({ path, imports }) =>
      imports.filter((target) => !mayImport(path, target)).map((target) => `${path} -> ${target}`),
    ),
  );
});

function mayImport(path: string, target: string): boolean {
  if (target.startsWith('..')) return isTest(path);
  if (roomOf(path) === roomOf(target) && findFloor(path) === findFloor(target)) return true;
  return (findFloor(target) ?? 99) < (findFloor(path) ?? -1);
}

test('a kind looks only at the kind.ts of another', () => {
  const kindOf = (path: string) => /^(?:kinds|builtins)\/([^/]+)\//.exec(path)?.[1];
  expectNone(
    sources.flatMap(({ path, imports }) => {
      const own = kindOf(path);
      const foreign = imports.filter(
        (target) => kindOf(target) !== undefined && kindOf(target) !== own && kindOf(target) !== 'fields',
      );
      return own === undefined
        ? []
        : foreign.filter((target) => basename(target) !== 'kind.ts').map((target) => `${path} -> ${target}`);
    }),
  );
});

test('no imports go in a circle', () => {
  const graph = new Map(production.map(({ path, imports }) => [path, imports] as const));
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) circles.push([...trail.slice(start), path].join(' -> '));
    if (start >= 0 || done.has(path)) return;
    for (const target of graph.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  expectNone(circles);
});

test('lines are short, unless one text fills them', () => {
  const isOneText = (line: string) => /^\s*[^'"`]{0,60}(['"`]).*\1[^'"`]{0,12}$/.test(line) && line.length < 260;
  expectNone(
    sources.flatMap(({ path, text }) =>
      text
        .split('\n')
        .flatMap((line, index) =>
          line.length > LIMITS.lineLength && !isOneText(line)
            ? [`${path}:${index + 1} has ${line.length} characters`]
            : [],
        ),
    ),
  );
});

test('a file opens with what it knows', () => {
  expectNone(sources.filter(({ text }) => !text.startsWith('/**')).map(({ path }) => path));
});

test('every exported name has a sentence', () => {
  const exported = /^export (?:declare )?(?:async )?(?:function\*?|class|interface|const|type) (\w+)/;
  expectNone(
    production.flatMap(({ path, text }) => {
      const lines = text.split('\n');
      return lines.flatMap((line, index) => {
        const name = exported.exec(line)?.[1];
        const before = lines[index - 1]?.trim() ?? '';
        if (name === undefined || before.endsWith('*/') || isGrouped(line, before) || isPlainShape(line, text))
          return [];
        return [`${path}:${index + 1} ${name}`];
      });
    }),
  );
});

/** Constants in one block share the sentence above it. */
function isGrouped(line: string, before: string): boolean {
  return line.startsWith('export const ') && before.startsWith('export const ');
}

/** Schemas say what they are by `describe`, their types by the schema, and shapes named by a noun by their fields. */
function isPlainShape(line: string, text: string): boolean {
  return (
    /^export (interface|type) /.test(line) ||
    /^export const \w+ = (z\b|z$|define)/.test(line) ||
    /^export const \w+ = z$/.test(line) ||
    text.includes(`${line}\n  .`)
  );
}

test('nothing escapes the type system without a reason beside it', () => {
  const escape = /[^\w.](?:as (?!const\b)[A-Z{(\w]|!\.|!\)|!;)/;
  const isImport = (line: string) => /^\s*(import|export) |^\s*type .* as |\* as /.test(line);
  expectNone(
    production.flatMap(({ path, text }) => {
      const lines = text.split('\n');
      // SQL has an `as` of its own.
      const bare = text.replaceAll(/sql(?:<[^`()]*>)?`[^`]*`/g, (query) => query.replaceAll(/[^\n]/g, ' ')).split('\n');
      return lines.flatMap((line, index) => {
        const code = (bare[index] ?? '').replaceAll(
          /'[^']*'|"[^"]*"|`[^`]*`?|= \/.*\/y;|\/\/.*$|^\s*\*.*$|\/\*.*\*\//g,
          '',
        );
        if (!escape.test(code) || isImport(line)) return [];
        const nearby = lines.slice(Math.max(0, index - 4), index + 8).join('\n');
        return nearby.includes('why:') ? [] : [`${path}:${index + 1} ${line.trim()}`];
      });
    }),
  );
});

test('only the top floor reads the environment', () => {
  const readers = production.filter(({ path, text }) => /process\.(env|argv)/.test(text) && roomOf(path) !== 'cli');
  expectNone(readers.map(({ path }) => path));
});

test('names say what a thing is', () => {
  const vague = /(^|-)(util|utils|helper|helpers|common|misc|manager|data|info)(-|\.|$)/;
  expectNone(
    sources
      .filter(({ path }) => path.split('/').some((part) => vague.test(part)) || /(^|\/)index\.ts$/.test(path))
      .map(({ path }) => path),
  );
});

test('no unfinished work is left in the sources', () => {
  const words = ['TODO', 'FIXME', 'XXX', 'HACK'].map((word) => `${word}:`);
  expectNone(sources.filter(({ text }) => words.some((word) => text.includes(word))).map(({ path }) => path));
});
