/** `athanor export tensorboard`: a run's metrics as an event file that TensorBoard reads. */
import { randomUUID } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { CommandContext } from './context.ts';
import { listKeys, readHistory } from './run-history.ts';
import { loadEventFiles, type ScalarEvent } from './tfevents.ts';
import { openTracking, type TrackingFlags } from './tracking-client.ts';

/** Writes one file below `folder`, whole or not at all; again, it is replaced. @throws NotFound */
export async function exportTensorboard(
  context: CommandContext,
  runId: string,
  { folder, flags }: { readonly folder: string; readonly flags: TrackingFlags },
): Promise<void> {
  const door = openTracking(context, flags);
  const { name, keys } = await listKeys(door, runId);
  const events = await loadEventFiles();
  const scalars: ScalarEvent[] = [];
  for (const key of keys) {
    for await (const { value, timestamp, step } of readHistory(door, runId, key))
      scalars.push({ tag: key, step, wallTimeMs: timestamp, value });
  }
  scalars.sort((a, b) => a.wallTimeMs - b.wallTimeMs || a.step - b.step);
  const target = join(resolve(folder), name.replaceAll(/[/\\\0]/g, '_').replace(/^\.+$/, '_') || runId);
  await mkdir(target, { recursive: true });
  const arriving = join(target, `.arriving-${randomUUID()}`);
  const file = await open(arriving, 'wx');
  try {
    for (const bytes of events.encode(scalars)) await file.write(bytes);
    await file.close();
    const path = join(target, `events.out.tfevents.0.${runId}`);
    await rename(arriving, path);
    context.stdout.write(`${path}\n`);
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(arriving, { force: true });
    throw error;
  }
}
