/** A version as CycloneDX 1.7 writes it (ECMA-424): the model with its card, its files, and the packages it needs. */
import { createHash } from 'node:crypto';
import type { Requirement, VersionContent } from './version-content.ts';

const MODEL_REF = 'model';

/** The bill of materials; equal content gives an equal one. */
export function writeBom(content: VersionContent): object {
  const components = [...content.requirements.map(toLibrary), ...content.files.map(toFile)];
  // CycloneDX wants each once.
  const unique = [...new Map(components.map((component) => [component['bom-ref'], component])).values()];
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.7.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.7',
    serialNumber: `urn:uuid:${uuidOf(content)}`,
    version: 1,
    metadata: { timestamp: new Date(content.version.last_update_time).toISOString(), component: toModel(content) },
    components: unique,
    dependencies: [{ ref: MODEL_REF, dependsOn: unique.map((component) => component['bom-ref']) }],
  };
}

function toModel({ version, run, flavors, inputs, outputs }: VersionContent): object {
  const metrics = run?.data.metrics ?? [];
  const datasets = run?.inputs.dataset_inputs ?? [];
  const toFormat = ({ name, type }: { name: string; type: string }) => ({ format: `${name}: ${type}` });
  return {
    type: 'machine-learning-model',
    'bom-ref': MODEL_REF,
    name: version.name,
    version: String(version.version),
    ...(version.description !== '' && { description: version.description }),
    modelCard: {
      modelParameters: {
        datasets: datasets.map(({ dataset, tags }) => ({
          type: 'dataset',
          name: `${dataset.name}@${dataset.digest}`,
          contents: {
            attachment: { contentType: 'application/json', content: dataset.source },
            properties: tags.map(({ key, value }) => ({ name: key, value })),
          },
        })),
        inputs: inputs.map(toFormat),
        outputs: outputs.map(toFormat),
      },
      quantitativeAnalysis: {
        performanceMetrics: metrics.map(({ key, value }) => ({ type: key, value: String(value) })),
      },
    },
    properties: [
      { name: 'athanor:source', value: version.source },
      { name: 'athanor:status', value: version.status },
      ...(version.digest === null ? [] : [{ name: 'athanor:digest', value: version.digest }]),
      ...(version.run_id === '' ? [] : [{ name: 'athanor:run', value: version.run_id }]),
      ...flavors.map((flavor) => ({ name: 'athanor:flavor', value: flavor })),
    ],
  };
}

function toLibrary({ name, version }: Requirement) {
  const purl = `pkg:pypi/${name.toLowerCase().replaceAll(/[_.]+/g, '-')}${version === undefined ? '' : `@${version}`}`;
  return { type: 'library', 'bom-ref': purl, name, ...(version !== undefined && { version }), purl };
}

function toFile({ path, digest }: VersionContent['files'][number]) {
  const hashes = [{ alg: 'SHA-256', content: digest.replace('sha256:', '') }];
  return { type: 'file', 'bom-ref': `file:${path}`, name: path, hashes };
}

/** Version 8 of RFC 9562: bits of a digest. */
function uuidOf({ version }: VersionContent): string {
  const { model_key, last_update_time, digest } = version;
  const seed = JSON.stringify([model_key, version.version, last_update_time, digest]);
  const hex = createHash('sha256').update(seed).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `a${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-',
  );
}

/** The same for people, as Markdown. */
export function writeCard(content: VersionContent): string {
  const { version, run, flavors, inputs, outputs, requirements, files } = content;
  const fields = (list: readonly { name: string; type: string }[]) => list.map(({ name, type }) => [name, type]);
  const datasets = (run?.inputs.dataset_inputs ?? []).map(({ dataset }) => [dataset.name, dataset.digest]);
  return [
    `# ${plain(version.name)}, version ${version.version}`,
    plain(version.description),
    table(
      ['', ''],
      [
        ['Status', version.status],
        ['Source', version.source],
        ['Digest', version.digest ?? ''],
        ['Run', version.run_id],
        ['Flavors', flavors.join(', ')],
      ],
    ),
    section(
      'Metrics',
      ['Metric', 'Value'],
      (run?.data.metrics ?? []).map(({ key, value }) => [key, String(value)]),
    ),
    section('Data', ['Dataset', 'Version'], datasets),
    section('Inputs', ['Name', 'Type'], fields(inputs)),
    section('Outputs', ['Name', 'Type'], fields(outputs)),
    section(
      'Environment',
      ['Package', 'Version'],
      requirements.map(({ name, version: exact = '' }) => [name, exact]),
    ),
    section(
      'Files',
      ['File', 'Bytes', 'Digest'],
      files.map((file) => [file.path, String(file.sizeBytes), file.digest]),
    ),
  ]
    .filter((part) => part !== '')
    .join('\n\n')
    .concat('\n');
}

function section(title: string, head: readonly string[], rows: readonly (readonly string[])[]): string {
  return rows.length === 0 ? '' : `## ${title}\n\n${table(head, rows)}`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(plain).join(' | ')} |`;
  return [line(head), `|${' --- |'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}

/** Somebody's text as nothing but text: no markup, no line of its own. */
function plain(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll(/[\\`*_{}[\]<>#|!]/g, (letter) => `\\${letter}`);
}
