/** The verbs on what tracking keeps: runs, models, artifacts, ui. */
import type { Command } from 'commander';
import type { GlobalFlags } from './context.ts';
import type { LineageFlags } from './lineage.ts';
import { addModelVerbs } from './model-commands.ts';
import type { AcceptFlags, PromoteFlags } from './models.ts';
import type { CompareFlags, RunsFlags } from './runs.ts';
import type { TrackingFlags } from './tracking-client.ts';
import { collect, contextOf, tracked, verb } from './verb.ts';

/** Adds them. */
export function addTrackingVerbs(program: Command): void {
  const runs = tracked(verb(program, 'runs [runs...]', 'newest runs, or those named, with their metrics as lines'))
    .option('-e, --experiment <name>', 'only of this experiment; may be repeated', collect, [])
    .option('--filter <text>', `MLflow's filter: "metrics.acc > 0.9 and params.lr = '0.1'"`)
    .option('--order <keys>', 'such as "metrics.acc DESC"; several are parted by commas')
    .option('--limit <n>', 'how many at most', '50')
    .action(async (ids: string[], flags: GlobalFlags & RunsFlags) => {
      const { showRuns } = await import('./runs.ts');
      await showRuns(await contextOf(program, flags), ids, flags);
    });
  tracked(sub(runs, 'compare <runs...>', 'parameters and metrics of several runs beside each other'))
    .option('--diff', 'only what differs')
    .action(async (ids: string[], _flags: unknown, command: Command) => {
      const flags = command.optsWithGlobals<GlobalFlags & CompareFlags>();
      const { compareRuns } = await import('./runs.ts');
      await compareRuns(await contextOf(program, flags), ids, flags);
    });
  const models = tracked(verb(program, 'models [name]', 'registered models, or the versions of one'))
    .option('--filter <text>', `MLflow's filter: "name LIKE 'digit%'"`)
    .action(async (name: string | undefined, flags: GlobalFlags & TrackingFlags) => {
      const { showModels } = await import('./models.ts');
      await showModels(await contextOf(program, flags), name, flags);
    });
  tracked(sub(models, 'promote <name> <version>', 'point an alias at a version'))
    .option('--alias <name>', 'which alias', 'champion')
    .action(async (...[name, version, , command]: [string, string, unknown, Command]) => {
      const flags = command.optsWithGlobals<GlobalFlags & PromoteFlags>();
      const { promoteModel } = await import('./models.ts');
      await promoteModel(await contextOf(program, flags), { name, version }, flags);
    });
  tracked(sub(models, 'accept <name> <version>', 'use a version in quarantine knowingly'))
    .requiredOption('--reason <text>', 'why; kept with the version')
    .action(async (...[name, version, , command]: [string, string, unknown, Command]) => {
      const flags = command.optsWithGlobals<GlobalFlags & AcceptFlags>();
      const { acceptModel } = await import('./models.ts');
      await acceptModel(await contextOf(program, flags), { name, version }, flags);
    });
  addModelVerbs(program, models);
  tracked(verb(program, 'artifacts <of> [path]', 'files of a run or of models:/name/version'))
    .option('-d, --download <folder>', 'bring them here')
    .action(async (of: string, path: string | undefined, flags: GlobalFlags & TrackingFlags) => {
      const { showArtifacts } = await import('./artifacts.ts');
      await showArtifacts(await contextOf(program, flags), { of, path }, flags);
    });
  tracked(verb(program, 'lineage <what>', 'what a model, dataset, job or service was made of, and what became of it'))
    .option('--up', 'only what it was made of')
    .option('--down', 'only what became of it')
    .option('--depth <n>', 'steps at most', '20')
    .action(async (what: string, flags: GlobalFlags & LineageFlags) => {
      const { showLineage } = await import('./lineage.ts');
      await showLineage(await contextOf(program, flags), what, flags);
    });
  tracked(verb(program, 'ui', 'where to look with a browser')).action(async (flags: GlobalFlags & TrackingFlags) => {
    const { openUi } = await import('./ui.ts');
    await openUi(await contextOf(program, flags), flags);
  });
}

function sub(parent: Command, usage: string, description: string): Command {
  return parent.command(usage).description(description);
}
