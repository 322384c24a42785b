/** `athanor models scan`, `sign` and `verify`: whether files are safe to load, and whose they are. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { basename, join, relative, resolve, sep } from 'node:path';
import { isStatusError, StatusError } from '../kube/status-error.ts';
import { listFolderFiles, type ModelFile, openModelFile } from '../modelfiles/model-files.ts';
import { scanModel } from '../modelfiles/scan.ts';
import { OTHER_FILES, signModel, type Trust, verifyModel } from '../modelfiles/sign-model.ts';
import { listRemoteFiles } from './artifacts.ts';
import type { CommandContext } from './context.ts';
import { ignoreMissingFile } from './missing-file.ts';
import { formatSigner, keepSignature, readSignatures, type VersionName } from './model-signatures.ts';
import { getModelVersion } from './models.ts';
import { formatTable, formatValue, parseFormat } from './output.ts';
import { openTracking, type TrackingFlags } from './tracking-client.ts';

export interface SignFlags extends TrackingFlags {
  readonly key: string;
  readonly certificate?: string;
  readonly signature?: string;
}

export interface VerifyFlags extends TrackingFlags {
  readonly key?: string;
  readonly certificateChain?: string;
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

/** Writes the signature, or keeps it with the version. @throws Invalid for a key that does not fit */
export async function sign(context: CommandContext, what: string, flags: SignFlags): Promise<void> {
  const model = await openModel(context, what, flags);
  const bundle = await signModel(model.files, {
    name: model.name,
    privateKey: await readPem(flags.key),
    ignorePaths: model.ignorePaths,
    ...(flags.certificate !== undefined && { certificates: await readPem(flags.certificate) }),
  });
  const files = model.files.length;
  if (model.kept) {
    const { signer } = await keepSignature(openTracking(context, flags), model.kept, bundle);
    return say(context, flags, { signed: what, files, signature: formatSigner(signer), signer });
  }
  await writeFile(model.signature, bundle);
  say(context, flags, { signed: what, files, signature: model.signature });
}

/** @throws Forbidden when the files are not those that were signed, or by somebody else; NotFound when nobody signed */
export async function verify(context: CommandContext, what: string, flags: VerifyFlags): Promise<void> {
  const trust = await readTrust(flags);
  const model = await openModel(context, what, flags);
  if (model.kept) return verifyKept(context, { what, files: model.files, trust, id: model.kept }, flags);
  const signature = await readPem(model.signature);
  const { resources } = await verifyModel(model.files, signature, { trust, ignorePaths: model.ignorePaths });
  say(context, flags, { verified: what, files: resources.length, signature: model.signature });
}

interface KeptModel {
  readonly what: string;
  readonly files: readonly ModelFile[];
  readonly trust: Trust;
  readonly id: VersionName;
}

/** One signature by somebody trusted is enough, however many others there are. */
async function verifyKept(context: CommandContext, kept: KeptModel, flags: VerifyFlags): Promise<void> {
  const { what, files, trust, id } = kept;
  const uri = `models:/${id.name}/${id.version}`;
  const refused: StatusError[] = [];
  const signers: string[] = [];
  for await (const { bundle, signer } of readSignatures(openTracking(context, flags), id)) {
    signers.push(formatSigner(signer));
    try {
      const { resources } = await verifyModel(files, bundle, { trust, everyFile: true });
      return say(context, flags, { verified: what, files: resources.length, signature: formatSigner(signer), signer });
    } catch (error) {
      if (!isStatusError(error, 'Forbidden') && !isStatusError(error, 'Invalid')) throw error;
      refused.push(error);
    }
  }
  const [first] = refused;
  if (first === undefined) {
    const advice = `sign it with: athanor models sign ${uri} --key FILE`;
    throw new StatusError('NotFound', `cannot verify ${uri}: nobody has signed it, ${advice}`);
  }
  const changed = refused.find(({ details }) => details?.kind === OTHER_FILES);
  const why = changed
    ? `${changed.message}, bring those files back or register and sign these as a version of their own`
    : `it is signed by ${signers.join('; ')}, name one of these or have it signed by whom you trust (${first.message})`;
  throw new StatusError((changed ?? first).reason, `cannot verify ${uri}: ${why}`, { cause: changed ?? first });
}

interface OpenedModel {
  readonly name: string;
  readonly files: readonly ModelFile[];
  /** The version with which the signature is kept; without it, the signature is a file. */
  readonly kept?: VersionName;
  readonly signature: string;
  /** The signature's own path, when it lies in the model. */
  readonly ignorePaths: readonly string[];
}

async function openModel(context: CommandContext, what: string, flags: VerifyFlags): Promise<OpenedModel> {
  if (what.startsWith('models:/')) {
    const tracking = openTracking(context, flags);
    const id = await getModelVersion(tracking, what);
    const uri = `models:/${id.name}/${id.version}`;
    const files = await listRemoteFiles(tracking, uri);
    if (files.length === 0) {
      throw new StatusError(
        'Invalid',
        `cannot sign or verify ${uri}: no folder of files is kept for it, log it as one`,
      );
    }
    const model = { name: `${id.name}/${id.version}`, files, ignorePaths: [] };
    if (flags.signature !== undefined) return { ...model, signature: resolve(flags.signature) };
    return { ...model, signature: uri, kept: id };
  }
  const root = resolve(what);
  const signature = resolve(flags.signature ?? join(root, SIGNATURE));
  const isInside = signature.startsWith(root + sep);
  const ignorePaths = isInside ? [relative(root, signature).split(sep).join('/')] : [];
  return { name: basename(root), files: await listFolderFiles(root), signature, ignorePaths };
}

async function readTrust({ key, certificateChain }: VerifyFlags): Promise<Trust> {
  if (key !== undefined && certificateChain === undefined) return { publicKey: await readPem(key) };
  if (certificateChain !== undefined && key === undefined) return { authorities: await readPem(certificateChain) };
  const advice = 'use either --key or --certificate-chain';
  throw new StatusError('BadRequest', `cannot verify: whom to trust is not told, ${advice}`);
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
