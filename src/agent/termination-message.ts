/** What a container said about its own end: its message file, or the last lines of its log. */
import { readFile } from 'node:fs/promises';
import type { Container } from '../kube/pod.ts';
import { FALLBACK_MESSAGE_MAX_BYTES, FALLBACK_MESSAGE_MAX_LINES, TERMINATION_MESSAGE_MAX_BYTES } from './limits.ts';
import { readLog } from './log-reader.ts';

/** The message, '' when there is none. */
export async function readTerminationMessage(
  container: Container,
  paths: { readonly message: string; readonly log: string },
  exitCode: number,
): Promise<string> {
  const said = (await readFile(paths.message)).subarray(0, TERMINATION_MESSAGE_MAX_BYTES).toString('utf8');
  const wantsLog = container.terminationMessagePolicy === 'FallbackToLogsOnError' && exitCode !== 0;
  if (said !== '' || !wantsLog) return said;
  let text = '';
  const source = { path: paths.log, filesMax: 1, waitForMore: () => Promise.resolve(false) };
  for await (const line of readLog(source, { tailLines: FALLBACK_MESSAGE_MAX_LINES })) text += line;
  return Buffer.from(text).subarray(-FALLBACK_MESSAGE_MAX_BYTES).toString('utf8');
}
