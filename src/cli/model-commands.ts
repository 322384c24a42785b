/** The verbs below `models` that move models between registries, and tell whether they can be trusted. */
import type { Command } from 'commander';
import type { GlobalFlags } from './context.ts';
import type { PullFlags } from './models-transfer.ts';
import type { SignFlags, VerifyFlags } from './models-trust.ts';
import type { TrackingFlags } from './tracking-client.ts';
import { contextOf, tracked } from './verb.ts';

/** Adds them. */
export function addModelVerbs(program: Command, models: Command): void {
  tracked(models.command('push <version> <reference>'))
    .description('send name/version to an OCI registry, as in: digits/3 ghcr.io/me/digits:v3')
    .action(async (...[version, reference, , command]: [string, string, unknown, Command]) => {
      const flags = command.optsWithGlobals<GlobalFlags & TrackingFlags>();
      const { pushModel } = await import('./models-transfer.ts');
      await pushModel(await contextOf(program, flags), { version, reference }, flags);
    });
  tracked(models.command('pull <reference>'))
    .description('register a ModelPack, ModelKit or Docker model of an OCI registry as the next version')
    .option('--name <name>', "the model's name (default: the repository's last word)")
    .action(async (reference: string, _flags: unknown, command: Command) => {
      const flags = command.optsWithGlobals<GlobalFlags & PullFlags>();
      const { pullModel } = await import('./models-transfer.ts');
      await pullModel(await contextOf(program, flags), reference, flags);
    });
  tracked(models.command('scan <path>'))
    .description('look through model files of a folder or a file; ends with 1 when loading them is dangerous')
    .action(async (path: string, _flags: unknown, command: Command) => {
      const flags = command.optsWithGlobals<GlobalFlags & TrackingFlags>();
      const { scanModels } = await import('./models-trust.ts');
      process.exitCode = await scanModels(await contextOf(program, flags), path, flags);
    });
  tracked(models.command('sign <what>'))
    .description('sign a folder or models:/name/version (OpenSSF Model Signing)')
    .requiredOption('--key <file>', 'private key (P-256, P-384 or P-521, PEM)')
    .option('--certificate <file>', "the signer's certificate and those between it and the root (PEM)")
    .option('--signature <file>', 'where the signature goes (default: model.sig in the folder, or with the version)')
    .action(async (what: string, _flags: unknown, command: Command) => {
      const flags = command.optsWithGlobals<GlobalFlags & SignFlags>();
      const { sign } = await import('./models-trust.ts');
      await sign(await contextOf(program, flags), what, flags);
    });
  tracked(models.command('verify <what>'))
    .description('tell whether a folder or models:/name/version is what somebody trusted signed')
    .option('--key <file>', "the signer's public key (PEM)")
    .option('--certificate, --certificate-chain <file>', 'certificates of the authorities to trust (PEM)')
    .option('--signature <file>', 'where the signature is (default: model.sig in the folder, or with the version)')
    .action(async (what: string, _flags: unknown, command: Command) => {
      const flags = command.optsWithGlobals<GlobalFlags & VerifyFlags>();
      const { verify } = await import('./models-trust.ts');
      await verify(await contextOf(program, flags), what, flags);
    });
}
