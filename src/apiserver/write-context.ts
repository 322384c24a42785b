/** What a write is told besides the object: where, by whom, how strictly. */
import type { StoredObject } from '../kube/object.ts';
import type { Resource } from './resource.ts';

/** What every write needs besides the object. */
export interface WriteContext {
  readonly resource: Resource;
  readonly namespace: string;
  readonly name: string;
  readonly subresource?: 'status' | undefined;
  readonly fieldManager: string;
  readonly fieldValidation: 'Ignore' | 'Warn' | 'Strict';
  readonly dryRun: boolean;
  /** Has the last word on what is about to be stored; `before` is undefined on create. @throws to refuse. */
  readonly guard?: (next: StoredObject, before: StoredObject | undefined) => void;
  /** Receives warnings for the client. */
  readonly warn: (message: string) => void;
}
