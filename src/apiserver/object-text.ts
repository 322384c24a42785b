/** The JSON text of a stored object, made once however many clients read it. */
import type { StoredObject } from '../kube/object.ts';

const texts = new WeakMap<StoredObject, string>(); // why: a cache of frozen objects; entries go with their objects

/** JSON of a frozen object; the same text for the same object. */
export function objectText(object: StoredObject): string {
  const known = texts.get(object);
  if (known !== undefined) return known;
  const text = JSON.stringify(object);
  if (Object.isFrozen(object)) texts.set(object, text);
  return text;
}
