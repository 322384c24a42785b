/** `athanor wait`: until a condition of an object is true, saying meanwhile what the object says of itself. */
import type { ApiClient } from '../client/types.ts';
import { type Condition, findCondition } from '../kube/condition.ts';
import type { ObjectOf, ResourceRef } from '../kube/object.ts';
import { StatusError } from '../kube/status-error.ts';
import { type CommandContext, withClient } from './context.ts';
import { getResource, splitTarget } from './resources.ts';

export interface WaitFlags {
  readonly namespace: string;
  readonly for: string;
  readonly timeout: string;
  readonly names: readonly string[];
}

/** What a timer takes. */
const SECONDS_MAX = 2_147_483;

type Conditioned = ObjectOf<unknown, { readonly phase?: string; readonly conditions?: readonly Condition[] }>;

/** @throws Timeout; Invalid when the object fails or is deleted instead. */
export async function waitFor(context: CommandContext, target: string, flags: WaitFlags): Promise<void> {
  await withClient(context, async (client) => {
    const {
      word,
      names: [name],
    } = splitTarget(target, flags.names);
    if (name === undefined)
      throw new StatusError('BadRequest', `cannot wait for ${word}: name one, as in 'athanor wait ${word} NAME'`);
    const ref = await getResource(client, word);
    const signal = AbortSignal.timeout(parseSeconds(flags.timeout) * 1000);
    const stop = new AbortController();
    signal.addEventListener('abort', () => stop.abort(), { once: true });
    try {
      await watchUntil(client, ref, { name, flags, context, signal: stop.signal });
    } finally {
      stop.abort();
    }
  });
}

function parseSeconds(text: string): number {
  const seconds = Number(text.replace(/s$/, ''));
  if (text !== '' && seconds >= 0 && seconds <= SECONDS_MAX) return seconds;
  throw new StatusError('BadRequest', `cannot wait for '${text}': want seconds, from 0 to ${SECONDS_MAX}`);
}

interface WatchUntil {
  readonly name: string;
  readonly flags: WaitFlags;
  readonly context: CommandContext;
  readonly signal: AbortSignal;
}

async function watchUntil(
  client: ApiClient,
  ref: ResourceRef,
  { name, flags, context, signal }: WatchUntil,
): Promise<void> {
  const subject = `${ref.kind.toLowerCase()}/${name}`;
  const scope = {
    ...(ref.scope === 'Namespaced' && { namespace: flags.namespace }),
    fieldSelector: `metadata.name=${name}`,
  };
  let said = '';
  const look = (object: Conditioned): boolean => {
    const { phase, conditions } = object.status ?? {};
    // why: kubectl takes any case too
    const wanted = conditions?.find(({ type }) => type.toLowerCase() === flags.for.toLowerCase());
    const failed = findCondition(conditions, 'Failed');
    if (wanted?.status === 'True') return true;
    const message = wanted?.message ?? findCondition(conditions, 'Running')?.message ?? '';
    if (failed?.status === 'True' || phase === 'Failed')
      throw new StatusError('Invalid', `${subject} failed: ${failed?.message ?? message}`);
    if (message !== said) context.stderr.write(`${subject}: ${message}\n`);
    said = message;
    return false;
  };
  const {
    items: [found],
    resourceVersion,
  } = await client.list<Conditioned>(ref, scope);
  if (found === undefined) throw new StatusError('NotFound', `cannot wait for ${subject}: there is none`);
  if (look(found)) return;
  for (let version = resourceVersion; !signal.aborted; ) {
    for await (const { type, object } of client.watch<Conditioned>(
      ref,
      { ...scope, resourceVersion: version },
      signal,
    )) {
      version = object.metadata.resourceVersion ?? version;
      if (type === 'DELETED') throw new StatusError('NotFound', `cannot wait for ${subject}: it was deleted`);
      if (type !== 'BOOKMARK' && look(object)) return;
    }
  }
  throw new StatusError(
    'Timeout',
    `cannot wait for ${subject} any longer: ${flags.for} is not true after ${flags.timeout} s${said === '' ? '' : ` (${said})`}`,
  );
}
