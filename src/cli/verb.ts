/** What all verbs share: the flags every one takes, and how it gets its context. */
import type { Command } from 'commander';
import type { CommandContext, GlobalFlags } from './context.ts';

/** Collects a flag that may be repeated. */
export const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];
/** How a list is printed. */
export const OUTPUT = ['-o, --output <format>', 'json, yaml, name, or wide'] as const;
/** Which namespace is meant. */
export const NAMESPACE = ['-n, --namespace <name>', 'namespace', 'default'] as const;

/** A new verb with the flags that every one takes. */
export function verb(program: Command, usage: string, description: string): Command {
  return program.command(usage).description(description).option('--home <folder>', 'everything Athanor keeps');
}

/** Adds the flags of verbs that speak to tracking. */
export function tracked(command: Command): Command {
  return command
    .option(...NAMESPACE)
    .option(...OUTPUT)
    .option('--tracking <url>', "tracking's address");
}

/** A flag counts wherever it stands. Loaded late: help and the verbs of pods do without. */
export async function contextOf(program: Command, flags: GlobalFlags): Promise<CommandContext> {
  const { createContext } = await import('./context.ts');
  return createContext({ ...program.opts<GlobalFlags>(), ...flags });
}
