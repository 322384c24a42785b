/** A disk of a few megabytes: runs a test file again in a mount namespace of its own, where a folder is such a disk. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const VARIABLE = 'ATHANOR_TEST_SMALL_DISK';

/** The folder that is a small disk; undefined in the process that has yet to make it. */
export function findSmallDisk(): string | undefined {
  return process.env[VARIABLE];
}

/** Runs the file's tests where the disk is; whoever may not mount does so as root of a user namespace. */
export function runOnSmallDisk(file: string, sizeBytes: number): void {
  const folder = mkdtempSync(join(tmpdir(), 'athanor-disk-'));
  const mount = `mount -t tmpfs -o size=${sizeBytes} small ${folder}`;
  const enter = [['--mount'], ['--user', '--map-root-user', '--mount']].find(
    (flags) => spawnSync('unshare', [...flags, 'sh', '-c', mount]).status === 0,
  );
  assert.ok(enter, `cannot mount a tmpfs, not even in a user namespace: ${mount}`);
  const { NODE_TEST_CONTEXT: _context, ...env } = process.env;
  const script = `${mount} && exec "$0" --test --test-reporter=spec "$1"`;
  const { status, stdout, stderr } = spawnSync('unshare', [...enter, 'sh', '-c', script, process.execPath, file], {
    env: { ...env, [VARIABLE]: folder },
    encoding: 'utf8',
  });
  rmdirSync(folder);
  assert.equal(status, 0, `${stdout}${stderr}`);
}

/** Takes all room that is left, to the last block; `free` gives it back. */
export function fillDisk(disk: string): { free(): void } {
  const path = join(disk, 'ballast');
  const file = openSync(path, 'a');
  for (let sizeBytes = 1024 * 1024; sizeBytes >= 1; sizeBytes = Math.floor(sizeBytes / 4)) {
    while (hasWritten(file, sizeBytes));
  }
  closeSync(file);
  return { free: () => rmSync(path) };
}

function hasWritten(file: number, sizeBytes: number): boolean {
  try {
    return writeSync(file, Buffer.alloc(sizeBytes)) === sizeBytes;
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error && error.code === 'ENOSPC', String(error));
    return false;
  }
}
