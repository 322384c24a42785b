/** Where an object lives in the store, and the key that says so in one text. */

/** Where an object lives in the store. */
export interface Address {
  /** `pods` or `trainingjobs.athanor.dev`. */
  readonly resource: string;
  /** '' for cluster-scoped objects. */
  readonly namespace: string;
  readonly name: string;
}

/** `resource/namespace/name`. */
export function formatKey({ resource, namespace, name }: Address): string {
  return `${resource}/${namespace}/${name}`;
}

/** The address behind a key. */
export function parseKey(key: string): Address {
  const [resource = '', namespace = '', ...name] = key.split('/');
  return { resource, namespace, name: name.join('/') };
}
