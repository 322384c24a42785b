/**
 * What a pickle builds, as far as it matters: names, numbers, imports and what calls were given. Everything else is
 * opaque.
 */

/** `module` and `name` as the pickle has them. */
export interface Import {
  readonly kind: 'import';
  readonly module: string;
  readonly name: string;
}

/** What a call or a class gave. */
export interface Made {
  readonly kind: 'made';
  readonly by: string;
  readonly args: readonly Value[];
}

/** Collections keep their first few items; a dict those with texts as keys. */
export type Value =
  | { readonly kind: 'mark' }
  | { readonly kind: 'opaque' }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'number'; readonly value: number | bigint }
  | { readonly kind: 'tuple'; readonly items: readonly Value[] }
  | { readonly kind: 'dict'; readonly entries: Map<string, Value> }
  | Import
  | Made;

/** Between the items of a collection that is being built. */
export const MARK: Value = { kind: 'mark' };
/** A value that no decision needs. */
export const OPAQUE: Value = { kind: 'opaque' };

/** Items of a tuple, and entries of a dict, that are kept. */
export const KEPT_ITEMS = 32;

/** A tuple of these. */
export function tupleOf(items: readonly Value[]): Value {
  return { kind: 'tuple', items: items.slice(0, KEPT_ITEMS) };
}

/** What a tuple holds; nothing for other values. */
export function itemsOf(value: Value | undefined): readonly Value[] {
  return value?.kind === 'tuple' ? value.items : [];
}

/** The text; undefined for other values. */
export function textOf(value: Value | undefined): string | undefined {
  return value?.kind === 'text' ? value.text : undefined;
}

/** A whole number that fits; undefined for other values. */
export function countOf(value: Value | undefined): number | undefined {
  if (value?.kind !== 'number') return undefined;
  const count = Number(value.value);
  return Number.isSafeInteger(count) && count >= 0 ? count : undefined;
}

/** `module.name` of an import; undefined for other values. */
export function importedName(value: Value | undefined): string | undefined {
  return value?.kind === 'import' ? `${value.module}.${value.name}` : undefined;
}
