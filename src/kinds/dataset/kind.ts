/**
 * Dataset: files under one name, in versions that never change. Says what one is; how it is imported is in
 * reconcile.ts.
 */
import { z } from 'zod';
import { defineKind } from '../../kube/kind.ts';
import { Environment } from '../fields/environment.ts';
import { EnvVariable } from '../fields/resources.ts';
import { Conditions } from '../fields/status.ts';

export const DatasetSpec = z.object({
  description: z.string().default('').describe('What the data is and where it comes from.'),
  source: z
    .object({
      folder: z
        .object({ path: z.string().regex(/^\//).describe('Absolute path of a folder on the node.') })
        .exactOptional()
        .describe('Copies a folder of the node.'),
      url: z
        .object({
          url: z
            .string()
            .regex(/^https?:\/\//)
            .describe('Address of one file.'),
          sha256: z
            .string()
            .regex(/^[0-9a-f]{64}$/)
            .exactOptional()
            .describe('Refuse the file when its SHA-256 is another.'),
        })
        .exactOptional()
        .describe('Downloads one file.'),
      pod: z
        .object({
          command: z.array(z.string()).min(1).describe('Program that writes the data.'),
          environment: Environment.default({ python: '3', packages: [] }).describe('Python packages it needs.'),
          code: z
            .string()
            .regex(/^sha256:[0-9a-f]{64}$/)
            .exactOptional()
            .describe('Digest of its code folder in the blob store.'),
          env: z.array(EnvVariable).default([]).describe('Environment variables.'),
          path: z.string().regex(/^\//).default('/outputs').describe('Folder whose content becomes the data set.'),
        })
        .exactOptional()
        .describe("Runs a program and keeps what it writes: a pod's output."),
    })
    .meta({ oneOf: [{ required: ['folder'] }, { required: ['url'] }, { required: ['pod'] }] })
    .describe('Where the data comes from. A changed source makes a new version; older versions stay.'),
});

const Version = z.object({
  digest: z.string().describe('Content address of the version, sha256:....'),
  files: z.number().int().describe('Number of files.'),
  sizeBytes: z.number().describe('Bytes of all files.'),
  importedAt: z.string().describe('When the import ended.'),
  source: z.string().describe('Hash of the source it was imported from.'),
});

export const DatasetStatus = z.object({
  phase: z
    .enum(['Pending', 'Importing', 'Ready', 'Failed'])
    .exactOptional()
    .describe('What was observed, in one word.'),
  digest: z.string().exactOptional().describe('The newest version. Jobs that name none get this one.'),
  files: z.number().int().exactOptional().describe('Files of the newest version.'),
  sizeBytes: z.number().exactOptional().describe('Bytes of the newest version.'),
  versions: z.array(Version).exactOptional().describe('All versions, oldest first; each stays readable by its digest.'),
  conditions: Conditions.exactOptional(),
});

export type DatasetSpec = z.infer<typeof DatasetSpec>;
export type DatasetStatus = z.infer<typeof DatasetStatus>;

export const dataset = defineKind({
  kind: 'Dataset',
  scope: 'Namespaced',
  shortNames: ['ds'],
  description: 'Files under one name, in content-addressed versions that never change.',
  spec: DatasetSpec,
  status: DatasetStatus,
  columns: {
    Phase: '.status.phase',
    Files: { path: '.status.files', type: 'integer' },
    Bytes: { path: '.status.sizeBytes', type: 'integer' },
    Digest: '.status.digest',
  },
  conditions: { Ready: 'Whether the newest source has been imported; the message says why not.' },
  owns: ['Pod'],
});
