/** The URL path of an object or a collection. */
import type { ResourceRef } from '../kube/object.ts';

/** `/api/v1/namespaces/a/pods/b/status`; without name the collection, without namespace the whole cluster. */
export function resourcePath(
  ref: ResourceRef,
  at: { namespace?: string | undefined; name?: string | undefined; subresource?: string | undefined } = {},
): string {
  const { namespace, name, subresource } = at;
  const root = ref.group === '' ? `/api/${ref.version}` : `/apis/${ref.group}/${ref.version}`;
  const scope =
    ref.scope === 'Namespaced' && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  const rest = [ref.plural, name, subresource].filter((part) => part !== undefined).map(encodeURIComponent);
  return `${root}${scope}/${rest.join('/')}`;
}

/** The query of a list or watch. */
export function toQuery(parameters: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters))
    if (value !== undefined && value !== '') query.set(name, String(value));
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}
