/** The verbs that bring runs from other trackers, and take them elsewhere. */
import type { Command } from 'commander';
import type { GlobalFlags } from './context.ts';
import type { ExportRunsFlags } from './export-runs.ts';
import type { ImportFlags } from './import-mlflow.ts';
import type { ImportTensorboardFlags } from './import-tensorboard.ts';
import type { TrackingFlags } from './tracking-client.ts';
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
  importing
    .command('tensorboard <logdir>')
    .description('the scalars of TensorBoard event files, a run for each folder')
    .option('--home <folder>', 'everything Athanor keeps')
    .option(...TRACKING)
    .option(...WORKSPACE)
    .option('--experiment <name>', "experiment of the runs (default: the folder's name)")
    .option('--run <id>', 'put all of them into this run instead')
    .option('--dry-run', 'read everything, change nothing')
    .option(...OUTPUT)
    .action(async (logdir: string, flags: GlobalFlags & ImportTensorboardFlags) => {
      const { importTensorboard } = await import('./import-tensorboard.ts');
      process.exitCode = await importTensorboard(await contextOf(program, flags), logdir, flags);
    });
  addExportVerbs(program);
}

function addExportVerbs(program: Command): void {
  const exporting = program.command('export').description('take runs elsewhere');
  exporting
    .command('tensorboard <run> <folder>')
    .description("a run's metrics as an event file for TensorBoard")
    .option('--home <folder>', 'everything Athanor keeps')
    .option(...TRACKING)
    .option(...WORKSPACE)
    .action(async (run: string, folder: string, flags: GlobalFlags & TrackingFlags) => {
      const { exportTensorboard } = await import('./export-tensorboard.ts');
      await exportTensorboard(await contextOf(program, flags), run, { folder, flags });
    });
  exporting
    .command('runs <folder>')
    .description('all of an experiment as tables: runs, params, tags, metric histories, data sets')
    .requiredOption('-e, --experiment <name>', 'name or id')
    .option('--format <format>', 'parquet, csv or json', 'parquet')
    .option('--home <folder>', 'everything Athanor keeps')
    .option(...TRACKING)
    .option(...WORKSPACE)
    .option(...OUTPUT)
    .action(async (folder: string, flags: GlobalFlags & ExportRunsFlags) => {
      const { exportRuns } = await import('./export-runs.ts');
      await exportRuns(await contextOf(program, flags), folder, flags);
    });
}
