/** The verbs on any object: apply, get, describe, delete. */
import type { Command } from 'commander';
import type { GlobalFlags } from './context.ts';
import { collect, contextOf, NAMESPACE, OUTPUT, verb } from './verb.ts';

/** Adds them. */
export function addObjectVerbs(program: Command): void {
  verb(program, 'apply', 'create or change the objects of YAML or JSON files')
    .option(...NAMESPACE)
    .option(...OUTPUT)
    .requiredOption('-f, --filename <path>', 'file, or - for standard input; may be repeated', collect, [])
    .action(async (flags: GlobalFlags & { filename: string[]; namespace: string; output?: string }) => {
      const { applyFiles } = await import('./object-verbs.ts');
      await applyFiles(await contextOf(program, flags), flags);
    });
  verb(program, 'get <resource> [names...]', 'print objects: jobs (tj), data sets (ds), services (isvc), pods, ...')
    .option(...NAMESPACE)
    .option('-A, --all-namespaces', 'of every namespace')
    .option('-l, --selector <labels>', 'only those with these labels')
    .option(...OUTPUT)
    .action(async (resource: string, names: string[], flags: GlobalFlags & { namespace: string }) => {
      const { getObjects } = await import('./object-verbs.ts');
      await getObjects(await contextOf(program, flags), resource, { ...flags, names });
    });
  verb(program, 'describe <resource> [name]', 'everything about one object, with its events')
    .option(...NAMESPACE)
    .action(async (resource: string, name: string | undefined, flags: GlobalFlags & { namespace: string }) => {
      const { describeObject } = await import('./object-verbs.ts');
      await describeObject(await contextOf(program, flags), resource, {
        ...flags,
        names: name === undefined ? [] : [name],
      });
    });
  verb(program, 'delete <resource> [names...]', 'delete objects and all they own')
    .option(...NAMESPACE)
    .option('--no-wait', 'do not wait until they are gone')
    .action(async (resource: string, names: string[], flags: GlobalFlags & { namespace: string; wait: boolean }) => {
      const { deleteObjects } = await import('./object-verbs.ts');
      await deleteObjects(await contextOf(program, flags), resource, { ...flags, names });
    });
}
