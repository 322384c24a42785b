/** `athanor models scan`, `sign` and `verify`: whether files are safe to load, and whose they are. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { basename, join, relative, resolve, sep } from 'node:path';
import { StatusError } from '../kube/status-error.ts';
import { listFolderFiles, type ModelFile, openModelFile } from '../modelfiles/model-files.ts';
import { scanModel } from '../modelfiles/scan.ts';
import { signModel, type Trust, verifyModel } from '../modelfiles/sign-model.ts';
import { listRemoteFiles } from './artifacts.ts';
import type { CommandContext } from './context.ts';
import { ignoreMissingFile } from './missing-file.ts';
import { formatTable, formatValue, parseFormat } from './output.ts';
import { openTracking, type TrackingFlags } from './tracking-client.ts';

export interface SignFlags extends TrackingFlags {
  readonly key: string;
  readonly certificate?: string;
  readonly signature?: string;
}

export interface VerifyFlags extends TrackingFlags {
  readonly key?: string;
  readonly certificate?: string;
  readonly signature?: string;
}

const SIGNATURE = 'model.sig';

/** Prints what was found; 1 when anything is unsafe. @throws NotFound */
export async function scanModels(context: CommandContext, path: string, flags: TrackingFlags): Promise<number> {
  const isFolder = (await ignoreMissingFile(stat(path)))?.isDirectory() ?? false;
  const report = await scanModel(isFolder ? await listFolderFiles(path) : [await openModelFile(path)]);
  const format = parseFormat(flags.output);
  if (format === 'json' || format === 'yaml') context.stdout.write(formatValue(report, format));
  else {
    const rows = report.files.flatMap(({ path: file, format: kind, verdict, findings }) => {
      const found = findings.map(({ rule, what, advice }) => [file, kind, verdict, rule, what, advice]);
      return found.length > 0 ? found : [[file, kind, verdict, '', '', '']];
    });
    context.stdout.write(formatTable(['file', 'format', 'verdict', 'rule', 'what', 'advice'], rows));
    context.stdout.write(`${report.verdict}: ${report.files.length} files\n`);
  }
  return report.verdict === 'unsafe' ? 1 : 0;
}

/** Writes the signature. @throws Invalid for a key that does not fit */
export async function sign(context: CommandContext, what: string, flags: SignFlags): Promise<void> {
  const model = await openModel(context, what, flags);
  const signature = await signModel(model.files, {
    name: model.name,
    privateKey: await readPem(flags.key),
    ignorePaths: model.ignorePaths,
    ...(flags.certificate !== undefined && { certificates: await readPem(flags.certificate) }),
  });
  await writeFile(model.signature, signature);
  say(context, flags, { signed: what, files: model.files.length, signature: model.signature });
}

/** @throws Forbidden when the files are not those that were signed, or by somebody else */
export async function verify(context: CommandContext, what: string, flags: VerifyFlags): Promise<void> {
  const trust = await readTrust(flags);
  const model = await openModel(context, what, flags);
  const signature = await readPem(model.signature);
  const { resources } = await verifyModel(model.files, signature, { trust, ignorePaths: model.ignorePaths });
  say(context, flags, { verified: what, files: resources.length, signature: model.signature });
}

interface OpenedModel {
  readonly name: string;
  readonly files: readonly ModelFile[];
  readonly signature: string;
  /** The signature's own path, when it lies in the model. */
  readonly ignorePaths: readonly string[];
}

async function openModel(context: CommandContext, what: string, flags: VerifyFlags): Promise<OpenedModel> {
  if (what.startsWith('models:/')) {
    const name = what.slice('models:/'.length);
    const files = await listRemoteFiles(openTracking(context, flags), what);
    return { name, files, signature: resolve(flags.signature ?? SIGNATURE), ignorePaths: [] };
  }
  const root = resolve(what);
  const signature = resolve(flags.signature ?? join(root, SIGNATURE));
  const isInside = signature.startsWith(root + sep);
  const ignorePaths = isInside ? [relative(root, signature).split(sep).join('/')] : [];
  return { name: basename(root), files: await listFolderFiles(root), signature, ignorePaths };
}

async function readTrust({ key, certificate }: VerifyFlags): Promise<Trust> {
  if (key !== undefined && certificate === undefined) return { publicKey: await readPem(key) };
  if (certificate !== undefined && key === undefined) return { authorities: await readPem(certificate) };
  throw new StatusError('BadRequest', 'cannot verify: whom to trust is not told, use either --key or --certificate');
}

async function readPem(path: string): Promise<string> {
  const text = await ignoreMissingFile(readFile(path, 'utf8'));
  if (text !== undefined) return text;
  throw new StatusError('NotFound', `cannot read ${path}: there is no such file`);
}

function say(context: CommandContext, { output }: TrackingFlags, result: Readonly<Record<string, unknown>>): void {
  const format = parseFormat(output);
  if (format === 'json' || format === 'yaml') context.stdout.write(formatValue(result, format));
  else {
    const [verb = '', what] = Object.entries(result)[0] ?? [];
    context.stdout.write(`${verb} ${what}: ${result['files']} files, ${result['signature']}\n`);
  }
}
