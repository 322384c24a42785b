/** The command line: assembles the verbs, runs one, and turns what it throws into an exit code. */
import { Command } from 'commander';
import { explainError } from './exit.ts';
import { addLifeVerbs } from './life-commands.ts';
import { addObjectVerbs } from './object-commands.ts';
import { addPodVerbs } from './pod-verbs.ts';
import { addSchedulingVerbs } from './scheduling-commands.ts';
import { addTrackingVerbs } from './tracking-commands.ts';
import { addTransferVerbs } from './transfer-commands.ts';
import { addFolderVerbs, addWorkVerbs } from './work-commands.ts';

/** Runs one command; sets the exit code. */
export async function main(args: readonly string[]): Promise<void> {
  try {
    await createProgram().parseAsync(args, { from: 'user' });
  } catch (error) {
    process.exitCode = explainError(error, process.stderr, process.env['ATHANOR_DEBUG'] !== undefined);
  }
}

function createProgram(): Command {
  const program = new Command('athanor')
    .description(
      'A cloud-native AI platform on your own machine: data, training, models and serving behind the Kubernetes API.',
    )
    .version('0.1.0')
    .option('--home <folder>', 'everything Athanor keeps (default: $ATHANOR_HOME or ~/.athanor)')
    .enablePositionalOptions()
    .showHelpAfterError('(see athanor --help)')
    // Commander ends with 1 for a wrong command line; ours is 2 (exit.ts), for verbs added from here on too.
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2));
  addLifeVerbs(program);
  addObjectVerbs(program);
  addWorkVerbs(program);
  addFolderVerbs(program);
  addTrackingVerbs(program);
  addTransferVerbs(program);
  addSchedulingVerbs(program);
  addPodVerbs(program);
  return program;
}
