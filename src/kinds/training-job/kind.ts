/**
 * TrainingJob: a program that runs as a gang of pods until it ends. Says what one is; how it runs is in reconcile.ts.
 */
import { z } from 'zod';
import { defineKind } from '../../kube/kind.ts';
import { Environment } from '../fields/environment.ts';
import { EnvVariable, Resources } from '../fields/resources.ts';
import { Scheduling } from '../fields/scheduling.ts';
import { Conditions } from '../fields/status.ts';

const Digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);

export const TrainingJobSpec = z.object({
  code: z
    .object({
      digest: Digest.exactOptional().describe('Digest of a folder in the blob store; `athanor run` makes it.'),
      git: z
        .object({
          url: z.string().min(1).describe('Address of the repository, as git takes it.'),
          ref: z
            .string()
            .min(1)
            .default('HEAD')
            .describe('Branch, tag or commit. It is resolved once; all pods run the same commit.'),
          path: z.string().default('.').describe('Folder of the repository to run in.'),
        })
        .exactOptional()
        .describe('A git repository, packed into the blob store before the job starts.'),
    })
    .meta({ oneOf: [{ required: ['digest'] }, { required: ['git'] }] })
    .exactOptional()
    .describe('What is in the working directory. Without it the directory is empty.'),
  image: z
    .string()
    .min(1)
    .exactOptional()
    .describe('Image to run instead of an environment. Its command runs as it is: no code, no outputs.'),
  environment: Environment.default({ python: '3', packages: [] }).describe('Python and packages, built once per node.'),
  command: z.array(z.string()).min(1).describe('The program and its arguments, such as [python, train.py].'),
  env: z.array(EnvVariable).default([]).describe('Environment variables of every pod.'),
  replicas: z
    .number()
    .int()
    .min(1)
    .max(10_000)
    .default(1)
    .describe('Pods of the gang. They start together or not at all; RANK tells them apart.'),
  resources: Resources.default({}).describe('What each pod asks for.'),
  datasets: z
    .array(
      z.object({
        name: z.string().min(1).describe('Name of a Dataset of the same namespace.'),
        digest: Digest.exactOptional().describe('A version of it. Default: the newest when the job starts.'),
        mountPath: z.string().regex(/^\//).describe('Where every pod finds its files, read-only.'),
      }),
    )
    .max(64)
    .default([])
    .describe('Data the program reads.'),
  outputs: z
    .object({ path: z.string().regex(/^\//).default('/outputs').describe('Folder that rank 0 writes to.') })
    .exactOptional()
    .describe('Keep what rank 0 wrote, in the blob store, when the job completes.'),
  restartLimit: z
    .number()
    .int()
    .min(0)
    .max(1000)
    .default(0)
    .describe('How often the whole gang is started again after its program failed.'),
  ttlSecondsAfterFinished: z
    .number()
    .int()
    .min(0)
    .exactOptional()
    .describe('Delete the job and its pods this long after it ended.'),
  nodeSelector: z.record(z.string(), z.string()).default({}).describe('Labels a node must have.'),
  scheduling: Scheduling.prefault({}).describe('How the job is queued and placed.'),
});

export const TrainingJobStatus = z.object({
  phase: z
    .enum(['Pending', 'Preparing', 'Running', 'Restarting', 'Complete', 'Failed'])
    .exactOptional()
    .describe('What was observed, in one word.'),
  conditions: Conditions.exactOptional(),
  attempt: z.number().int().exactOptional().describe('Which start of the gang this is, from 0. Lost nodes count too.'),
  restarts: z
    .number()
    .int()
    .exactOptional()
    .describe('Starts that followed a failure of the program itself; held against restartLimit.'),
  active: z.number().int().exactOptional().describe('Pods that run.'),
  succeeded: z.number().int().exactOptional().describe('Pods that ended well.'),
  startTime: z.string().exactOptional().describe('When the first pod started.'),
  completionTime: z.string().exactOptional().describe('When the job ended.'),
  exitCode: z.number().int().exactOptional().describe('Exit code of the program that failed, 0 when all ended well.'),
  message: z.string().exactOptional().describe('The last lines of what failed.'),
  code: z
    .object({
      digest: z.string().describe('The folder that runs.'),
      commit: z.string().exactOptional().describe('Its git commit.'),
    })
    .exactOptional()
    .describe('The code as it was packed.'),
  datasets: z
    .array(
      z.object({ name: z.string().describe('The Dataset.'), digest: z.string().describe('The version that is read.') }),
    )
    .exactOptional()
    .describe('Versions fixed when the job started.'),
  outputs: z
    .object({
      digest: z.string().describe('Content address of the saved folder.'),
      files: z.number().int().describe('Its files.'),
      sizeBytes: z.number().describe('Its bytes.'),
    })
    .exactOptional()
    .describe('What rank 0 left, once the job is complete.'),
  progress: z
    .object({
      progressPercentage: z
        .number()
        .min(0)
        .max(100)
        .exactOptional()
        .describe('How much is done, as the program reports it.'),
      estimatedRemainingSeconds: z.number().min(0).exactOptional().describe('How long it will still take.'),
      metrics: z
        .array(
          z.object({
            name: z.string().describe('Name of the metric.'),
            value: z.string().describe('Its newest value.'),
          }),
        )
        .exactOptional()
        .describe('Newest values the program reports.'),
    })
    .exactOptional()
    .describe('What rank 0 last reported of itself.'),
});

export type TrainingJobSpec = z.infer<typeof TrainingJobSpec>;
export type TrainingJobStatus = z.infer<typeof TrainingJobStatus>;

/** Labels of a job's pods. */
export const JOB_LABEL = 'athanor.dev/training-job';
/** Label of a pod's rank. */
export const RANK_LABEL = 'athanor.dev/rank';
/** Label of the attempt a pod belongs to. */
export const ATTEMPT_LABEL = 'athanor.dev/attempt';
/** Annotation in which the launcher of a pod keeps the newest progress report, as JSON. */
export const PROGRESS_ANNOTATION = 'athanor.dev/progress';

export const trainingJob = defineKind({
  kind: 'TrainingJob',
  scope: 'Namespaced',
  shortNames: ['tj'],
  description: 'A program that runs as a gang of pods until it ends.',
  spec: TrainingJobSpec,
  status: TrainingJobStatus,
  columns: {
    Phase: '.status.phase',
    Replicas: { path: '.spec.replicas', type: 'integer' },
    Progress: { path: '.status.progress.progressPercentage', type: 'number' },
    Restarts: { path: '.status.restarts', type: 'integer' },
    'Exit Code': { path: '.status.exitCode', type: 'integer' },
    Queue: '.spec.scheduling.queue',
  },
  conditions: {
    Running: 'Whether every pod of the gang runs.',
    Complete: 'Whether all pods ended well and the outputs are saved.',
    Failed: 'Whether the job gave up; the message has the last lines of what failed.',
  },
  owns: ['Pod', 'PodGroup', 'ServiceAccount', 'Role', 'RoleBinding'],
  reads: ['Dataset'],
});
