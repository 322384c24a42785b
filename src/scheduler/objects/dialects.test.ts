/** What pods ask of devices, in every dialect, and which devices nodes have. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NODE_DEVICES_ANNOTATION } from '../../kinds/device-class/kind.ts';
import { buildDeviceClasses, readNodeDevices } from './device-classes.ts';
import { readPodAsk } from './read-demand.ts';
import { node, pod, type Quantities } from './test-objects.ts';

const classes = buildDeviceClasses();

interface Dialect {
  readonly requests?: Quantities;
  readonly annotations?: Quantities;
  /** count x milli, MiB, thousandths of memory. */
  readonly want?: {
    readonly count: number;
    readonly milli: number;
    readonly memoryMiB?: number;
    readonly memoryMilli?: number;
  };
  readonly wantClass?: string;
  readonly wantModels?: readonly string[];
  readonly wantProblem?: RegExp;
}

const half = { count: 1, milli: 500, memoryMilli: 500 };
const own = (request: unknown) => ({ annotations: { 'athanor.dev/devices': JSON.stringify(request) } });
const dialects: Record<string, Dialect> = {
  'our own fields': { ...own({ class: 'nvidia', fraction: 0.5 }), want: half, wantClass: 'nvidia' },
  'our own fields with memory': { ...own({ count: 2, memory: '8Gi' }), want: { count: 2, milli: 0, memoryMiB: 8192 } },
  'our own fields with a slice': {
    ...own({ class: 'nvidia', slice: '1g.5gb' }),
    want: { count: 1, milli: 142, memoryMiB: 4864 },
  },
  'our own fields with models': { ...own({ models: ['A100'] }), want: { count: 1, milli: 1000 }, wantModels: ['A100'] },
  'a slice that nobody makes': {
    ...own({ class: 'nvidia', slice: '9g' }),
    wantProblem: /no slice 9g: class nvidia has 1g/,
  },
  'a class that is not there': { ...own({ class: 'x' }), wantProblem: /there is no DeviceClass x/ },
  'more than a device': { ...own({ fraction: 1.5 }), wantProblem: /annotation athanor.dev\/devices: fraction/ },
  'no JSON': { annotations: { 'athanor.dev/devices': '{' }, wantProblem: /is not JSON/ },
  'plain extended resources': { requests: { 'amd.com/gpu': '2' }, want: { count: 2, milli: 1000 }, wantClass: 'amd' },
  'HAMi: memory': {
    requests: { 'nvidia.com/gpu': '1', 'nvidia.com/gpumem': '3000' },
    want: { count: 1, milli: 0, memoryMiB: 3000 },
  },
  'HAMi: cores and memory in hundredths': {
    requests: { 'nvidia.com/gpu': '2', 'nvidia.com/gpucores': '30', 'nvidia.com/gpumem-percentage': '40' },
    want: { count: 2, milli: 300, memoryMilli: 400 },
  },
  'HAMi: a type': {
    requests: { 'nvidia.com/gpu': '1' },
    annotations: { 'nvidia.com/use-gputype': 'A100,H100' },
    want: { count: 1, milli: 1000 },
  },
  'HAMi: Ascend': {
    requests: { 'huawei.com/Ascend910B4': '1', 'huawei.com/Ascend910B4-memory': '8192' },
    want: { count: 1, milli: 0, memoryMiB: 8192 },
    wantClass: 'ascend-910b4',
  },
  'HAMi: Cambricon': {
    requests: {
      'cambricon.com/vmlu': '1',
      'cambricon.com/mlu.smlu.vmemory': '20',
      'cambricon.com/mlu.smlu.vcore': '10',
    },
    want: { count: 1, milli: 100, memoryMilli: 200 },
  },
  'HAMi: Moore Threads, in sixteenths and 512 MiB': {
    requests: { 'mthreads.com/vgpu': '1', 'mthreads.com/sgpu-core': '8', 'mthreads.com/sgpu-memory': '32' },
    want: { count: 1, milli: 500, memoryMiB: 16_384 },
  },
  'HAMi: MetaX, in GiB': {
    requests: { 'metax-tech.com/sgpu': '1', 'metax-tech.com/vcore': '60', 'metax-tech.com/vmemory': '4' },
    want: { count: 1, milli: 600, memoryMiB: 4096 },
  },
  'HAMi: Iluvatar, in 256 MiB': {
    requests: { 'iluvatar.ai/vgpu': '1', 'iluvatar.ai/vcuda-core': '50', 'iluvatar.ai/vcuda-memory': '64' },
    want: { count: 1, milli: 500, memoryMiB: 16_384 },
  },
  'HAMi: Hygon': {
    requests: { 'hygon.com/dcunum': '1', 'hygon.com/dcumem': '2000', 'hygon.com/dcucores': '60' },
    want: { count: 1, milli: 600, memoryMiB: 2000 },
  },
  'HAMi: Enflame, in sixths': { requests: { 'enflame.com/drs-gcu': '3' }, want: half, wantClass: 'enflame' },
  'HAMi: Kunlunxin': {
    requests: { 'kunlunxin.com/vxpu': '1', 'kunlunxin.com/vxpu-memory': '24576' },
    want: { count: 1, milli: 0, memoryMiB: 24_576 },
  },
  'Volcano vGPU': {
    requests: { 'volcano.sh/vgpu-number': '1', 'volcano.sh/vgpu-cores': '50', 'volcano.sh/vgpu-memory': '4000' },
    want: { count: 1, milli: 500, memoryMiB: 4000 },
    wantClass: 'nvidia',
  },
  'KAI: a fraction': { annotations: { 'gpu-fraction': '0.5' }, want: half },
  'KAI: memory of several': {
    annotations: { 'gpu-memory': '2000', 'gpu-fraction-num-devices': '2' },
    want: { count: 2, milli: 0, memoryMiB: 2000 },
  },
  'KAI: more than a device': {
    annotations: { 'gpu-fraction': '1.5' },
    wantProblem: /gpu-fraction is '1.5': want a number from 0 to 1/,
  },
  'KAI: a fraction and a whole device': {
    annotations: { 'gpu-fraction': '0.5' },
    requests: { 'nvidia.com/gpu': '1' },
    wantProblem: /asks for nvidia.com\/gpu and for a fraction/,
  },
  'Koordinator: half a device': {
    requests: { 'koordinator.sh/gpu-core': '50', 'koordinator.sh/gpu-memory-ratio': '50' },
    want: half,
  },
  'Koordinator: two devices': {
    requests: { 'koordinator.sh/gpu': '200' },
    want: { count: 2, milli: 1000, memoryMilli: 1000 },
  },
  'Koordinator: shares of two': {
    requests: {
      'koordinator.sh/gpu.shared': '2',
      'koordinator.sh/gpu-core': '100',
      'koordinator.sh/gpu-memory-ratio': '100',
    },
    want: { count: 2, milli: 500, memoryMilli: 500 },
  },
  'Koordinator: one and a half': {
    requests: { 'koordinator.sh/gpu': '150' },
    wantProblem: /want 100 % at most, or a multiple/,
  },
  openb: {
    annotations: {
      'alibabacloud.com/gpu-milli': '460',
      'alibabacloud.com/gpu-count': '1',
      'alibabacloud.com/gpu-card-model': 'A10|T4',
    },
    want: { count: 1, milli: 460 },
    wantModels: ['A10', 'T4'],
  },
  'openb: an unknown value': {
    annotations: { 'alibabacloud.com/gpu-milli': 'many' },
    wantProblem: /gpu-milli is 'many'/,
  },
  'two makers at once': {
    requests: { 'nvidia.com/gpu': '1', 'amd.com/gpu': '1' },
    wantProblem: /devices of several classes: nvidia, amd/,
  },
  'more cores than there are': {
    requests: { 'nvidia.com/gpu': '1', 'nvidia.com/gpucores': '130' },
    wantProblem: /asks for 130 % of a device: want 100 % at most/,
  },
  'no device': { requests: { cpu: '1' } },
};

for (const [sentence, { requests = {}, annotations = {}, ...want }] of Object.entries(dialects)) {
  test(`readPodAsk() understands ${sentence}`, () => {
    const plain = pod('a', requests);
    const { share, problem, amounts } = readPodAsk({ ...plain, metadata: { ...plain.metadata, annotations } }, classes);
    if (want.wantProblem !== undefined) return assert.match(problem ?? '', want.wantProblem);
    assert.equal(problem, undefined);
    const { count, milli, memoryMiB, memoryMilli } = share ?? {};
    const found = share && { count, milli, ...(memoryMiB && { memoryMiB }), ...(memoryMilli && { memoryMilli }) };
    assert.deepEqual(found, want.want);
    if (want.wantClass !== undefined) assert.equal(share?.deviceClass, want.wantClass);
    if (want.wantModels !== undefined) assert.deepEqual(share?.models, want.wantModels);
    assert.deepEqual(
      Object.keys(amounts).filter((name) => name.includes('/')),
      [],
      'devices are no amounts',
    );
  });
}

test('readPodAsk() counts ready-made slices as parts of a device', () => {
  const { amounts, extraQuota } = readPodAsk(pod('a', { 'nvidia.com/mig-3g.20gb': '1' }), classes);
  assert.equal(amounts['nvidia.com/mig-3g.20gb'], 1);
  assert.deepEqual(extraQuota, { devices: 3 / 7, 'nvidia.com/gpu': 3 / 7 });
});

test('readNodeDevices() takes what the agent lists before what resources count', () => {
  const listed = [{ id: 'GPU-1', class: 'nvidia', model: 'T4', memoryMiB: 15360, isHealthy: false }];
  const plain = node(
    'n',
    { 'nvidia.com/gpu': '4', 'amd.com/gpu': '1' },
    { labels: { 'amd.com/gpu.product-name': 'MI300' } },
  );
  const annotations = { [NODE_DEVICES_ANNOTATION]: JSON.stringify(listed) };
  const found = readNodeDevices({ ...plain, metadata: { ...plain.metadata, annotations } }, classes);
  assert.deepEqual(
    found.map(({ id, deviceClass, model, isHealthy }) => [id, deviceClass, model, isHealthy]),
    [
      ['GPU-1', 'nvidia', 'T4', false],
      ['0', 'amd', 'MI300', true],
    ],
  );
});
