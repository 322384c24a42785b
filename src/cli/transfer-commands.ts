/** The verbs that bring runs from other trackers, and take them elsewhere. */
import type { Command } from 'commander';
import type { GlobalFlags } from './context.ts';
import type { ImportFlags } from './import-mlflow.ts';
import { contextOf, OUTPUT } from './verb.ts';

const TRACKING = ['--tracking <url>', "tracking's address (default: the Athanor of this home)"] as const;
const WORKSPACE = ['-n, --namespace <name>', 'namespace whose runs they become'] as const;

/** Adds import and export. */
export function addTransferVerbs(program: Command): void {
  const importing = program.command('import').description('bring runs and models from other trackers');
  importing
    .command('mlflow <place>')
    .description("an MLflow store: the folder mlruns, a SQLite file, or sqlite:///...; again: only what's new")
    .option('--home <folder>', 'everything Athanor keeps')
    .option(...TRACKING)
    .option(...WORKSPACE)
    .option('--artifacts <folder>', 'where an MLflow server kept the files it served (mlflow-artifacts:)')
    .option('--dry-run', 'read everything, change nothing')
    .option(...OUTPUT)
    .action(async (place: string, flags: GlobalFlags & ImportFlags) => {
      const { importMlflow } = await import('./import-mlflow.ts');
      process.exitCode = await importMlflow(await contextOf(program, flags), place, flags);
    });
}
