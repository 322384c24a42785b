/** What nvidia-smi says, as devices; a real program of that name answers. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { findNvidiaDevices } from './find-devices.ts';

async function withProgram(script: string, work: (env: Record<string, string>) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'athanor-smi-'));
  try {
    writeFileSync(join(folder, 'nvidia-smi'), `#!/bin/sh\n${script}\n`);
    chmodSync(join(folder, 'nvidia-smi'), 0o755);
    await work({ PATH: `${folder}:/usr/bin:/bin` });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('findNvidiaDevices() lists devices, and knows one whose memory fails', () =>
  withProgram(
    `echo 'GPU-1, NVIDIA A100-SXM4-80GB, 81920, 0'; echo 'GPU-2, NVIDIA T4, 15360, [N/A]'; echo 'GPU-3, NVIDIA T4, 15360, 7'`,
    async (env) => {
      assert.deepEqual(await findNvidiaDevices(env), [
        { id: 'GPU-1', class: 'nvidia', model: 'NVIDIA A100-SXM4-80GB', memoryMiB: 81_920, isHealthy: true },
        { id: 'GPU-2', class: 'nvidia', model: 'NVIDIA T4', memoryMiB: 15_360, isHealthy: true },
        { id: 'GPU-3', class: 'nvidia', model: 'NVIDIA T4', memoryMiB: 15_360, isHealthy: false },
      ]);
    },
  ));

test('findNvidiaDevices() finds none where there is no nvidia-smi', async () => {
  assert.deepEqual(await findNvidiaDevices({ PATH: '/nowhere' }), []);
});

test('findNvidiaDevices() says what a broken driver says', () =>
  withProgram(`echo 'NVML: Driver/library version mismatch' >&2; exit 18`, async (env) => {
    await assert.rejects(findNvidiaDevices(env), /nvidia-smi says NVML: Driver\/library version mismatch/);
  }));
