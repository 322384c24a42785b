/**
 * Where acknowledged writes are kept: append a batch, and everything there was at start. Knows keys and texts, not
 * objects.
 */

/** One durable change of the store: the object's new text, or its end. */
export interface JournalEntry {
  readonly revision: number;
  /** `resource/namespace/name`. */
  readonly key: string;
  /** JSON of the object; undefined when it was deleted. */
  readonly text: string | undefined;
}

export interface JournalContent {
  /** The last revision that was ever acknowledged, even when its object is gone. */
  readonly revision: number;
  readonly objects: readonly { readonly key: string; readonly text: string }[];
}

export interface Journal {
  load(): Promise<JournalContent>;
  /** Resolves when the batch is on disk, whole. Batches are written in the order of the calls. */
  append(batch: readonly JournalEntry[]): Promise<void>;
  close(): Promise<void>;
}

/** A journal that forgets: for tests and throw-away clusters. */
export function memoryJournal(): Journal {
  return {
    load: () => Promise.resolve({ revision: 0, objects: [] }),
    append: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}
