/** `athanor ui`: where to look with a browser. Until the console stands, that is tracking's own page. */
import { spawn } from 'node:child_process';
import type { CommandContext } from './context.ts';
import { openTracking, type TrackingFlags } from './tracking-client.ts';

const OPENERS: Readonly<Partial<Record<NodeJS.Platform, string>>> = { darwin: 'open', linux: 'xdg-open' };

/** Prints the address; on a terminal it also asks the desktop to open it, and says nothing when there is no desktop. */
export async function openUi(context: CommandContext, flags: TrackingFlags): Promise<void> {
  const { url } = openTracking(context, flags);
  context.stdout.write(`${url}\n`);
  const opener = OPENERS[process.platform];
  if (!context.stdout.isTTY || opener === undefined) return;
  const child = spawn(opener, [url], { detached: true, stdio: 'ignore' });
  child.once('error', () => context.stderr.write('there is no browser to open it with, use the address above\n'));
  child.unref();
}
