/** The NVIDIA devices of this machine, asked of nvidia-smi, which comes with their driver. None where there is none. */
import { execFile } from 'node:child_process';
import type { NodeDevice } from '../kinds/device-class/kind.ts';

const FIELDS = ['uuid', 'name', 'memory.total', 'ecc.errors.uncorrected.volatile.total'];
const TIMEOUT_MS = 10_000;
const MOST_OUTPUT_BYTES = 1 << 20;

/** Devices in the order of their indexes. @throws when there is an nvidia-smi and it fails. */
export async function findNvidiaDevices(env: Readonly<Record<string, string>>): Promise<readonly NodeDevice[]> {
  const args = [`--query-gpu=${FIELDS.join(',')}`, '--format=csv,noheader,nounits'];
  const text = await new Promise<string | undefined>((resolve, reject) => {
    const options = { env, timeout: TIMEOUT_MS, maxBuffer: MOST_OUTPUT_BYTES };
    execFile('nvidia-smi', args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else if (error.code === 'ENOENT') resolve(undefined);
      else reject(new Error(`cannot list NVIDIA devices: nvidia-smi says ${stderr || stdout || error.message}`));
    });
  });
  return text === undefined ? [] : parseNvidiaSmi(text);
}

/** One line a device: `GPU-8f6d..., NVIDIA A100-SXM4-80GB, 81920, 0`; errors of memory make it not well. */
export function parseNvidiaSmi(text: string): readonly NodeDevice[] {
  return text
    .split('\n')
    .map((line) => line.split(',').map((cell) => cell.trim()))
    .filter(([uuid = '']) => uuid.startsWith('GPU-'))
    .map(([id = '', model = '', memory = '', errors = '']) => ({
      id,
      class: 'nvidia',
      model,
      memoryMiB: Number(memory) || 0,
      // why: devices without ECC say [N/A]
      isHealthy: !(Number(errors) > 0),
    }));
}
