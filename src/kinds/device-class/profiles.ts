/**
 * The accelerators that Athanor knows from the start, as data. Names of resources and their units as HAMi 2.10's docs,
 * Volcano, and the makers' device plugins have them; each may be changed as an object.
 */
import type { DeviceClassSpec } from './kind.ts';

type Profile = Partial<Omit<DeviceClassSpec, 'resources'>> & {
  readonly vendor: string;
  readonly resources: Partial<DeviceClassSpec['resources']> & { readonly count: string };
};

const percent = (name: string) => ({ name, whole: 100 });
const mebibytes = (name: string, unitMiB = 1) => ({ name, unitMiB });

/** MIG profiles by memory of the device: NVIDIA MIG user guide, supported profiles of A100 and H100. */
const MIG = [
  ['1g.5gb', 1, 4864],
  ['2g.10gb', 2, 9856],
  ['3g.20gb', 3, 20_096],
  ['4g.20gb', 4, 20_096],
  ['7g.40gb', 7, 40_192],
  ['1g.10gb', 1, 9728],
  ['2g.20gb', 2, 19_968],
  ['3g.40gb', 3, 40_448],
  ['4g.40gb', 4, 40_448],
  ['7g.80gb', 7, 81_152],
] as const;

function slice(name: string, parts: readonly [cores: number, of: number], memoryMiB: number) {
  return { name, fraction: parts[0] / parts[1], memoryMiB };
}

/** Profiles by the name of their DeviceClass. */
export const DEVICE_PROFILES: Readonly<Record<string, Profile>> = {
  nvidia: {
    vendor: 'NVIDIA',
    resources: {
      count: 'nvidia.com/gpu',
      aliases: ['nvidia.com/gpu.shared', 'volcano.sh/vgpu-number'],
      cores: [percent('nvidia.com/gpucores'), percent('volcano.sh/vgpu-cores')],
      memory: [mebibytes('nvidia.com/gpumem'), mebibytes('volcano.sh/vgpu-memory')],
      memoryPercent: ['nvidia.com/gpumem-percentage', 'volcano.sh/vgpu-memory-percentage'],
    },
    modelLabel: 'nvidia.com/gpu.product',
    memoryLabel: 'nvidia.com/gpu.memory',
    modelAnnotations: { wanted: ['nvidia.com/use-gputype'], unwanted: ['nvidia.com/nouse-gputype'] },
    sharing: ['fraction', 'mig', 'mps', 'time-slice'],
    slices: MIG.map(([name, parts, memoryMiB]) => ({
      ...slice(name, [parts, 7], memoryMiB),
      resource: `nvidia.com/mig-${name}`,
    })),
    env: {
      visible: ['NVIDIA_VISIBLE_DEVICES', 'CUDA_VISIBLE_DEVICES'],
      memoryLimit: 'CUDA_DEVICE_MEMORY_LIMIT_{index}',
      coreLimit: 'CUDA_DEVICE_SM_LIMIT',
    },
    interconnect: 'NVLink',
    healthMetrics: ['DCGM_FI_DEV_XID_ERRORS', 'DCGM_FI_DEV_ECC_DBE_VOL_TOTAL', 'DCGM_FI_DEV_GPU_TEMP'],
  },
  amd: {
    vendor: 'AMD',
    resources: {
      count: 'amd.com/gpu',
      cores: [percent('amd.com/gpucores')],
      memory: [mebibytes('amd.com/gpumem')],
    },
    modelLabel: 'amd.com/gpu.product-name',
    sharing: ['fraction'],
    env: { visible: ['ROCR_VISIBLE_DEVICES', 'HIP_VISIBLE_DEVICES'] },
    interconnect: 'Infinity Fabric',
    healthMetrics: ['gpu_ecc_uncorrect_total', 'gpu_junction_temperature'],
  },
  intel: {
    vendor: 'Intel',
    resources: {
      count: 'gpu.intel.com/xe',
      aliases: ['gpu.intel.com/i915'],
      cores: [{ name: 'gpu.intel.com/millicores', whole: 1000 }],
    },
    sharing: ['time-slice'],
    env: { visible: ['ZE_AFFINITY_MASK'] },
    interconnect: 'Xe Link',
    healthMetrics: ['xpum_temperature_celsius', 'xpum_ras_error_count'],
  },
  ...ascend('Ascend910A', 32_768, [
    slice('vir02', [2, 30], 2184),
    slice('vir04', [4, 30], 4369),
    slice('vir08', [8, 30], 8738),
    slice('vir16', [16, 30], 17_476),
  ]),
  ...ascend('Ascend910B2', 65_536, [
    slice('vir03_1c_8g', [3, 24], 8192),
    slice('vir06_1c_16g', [6, 24], 16_384),
    slice('vir12_3c_32g', [12, 24], 32_768),
  ]),
  ...ascend('Ascend910B3', 65_536, [slice('vir05_1c_16g', [5, 20], 16_384), slice('vir10_3c_32g', [10, 20], 32_768)]),
  ...ascend('Ascend910B4', 32_768, [slice('vir05_1c_8g', [5, 20], 8192), slice('vir10_3c_16g', [10, 20], 16_384)]),
  ...ascend('Ascend310P', 21_527, [
    slice('vir01', [1, 8], 3072),
    slice('vir02', [2, 8], 6144),
    slice('vir04', [4, 8], 12_288),
  ]),
  ascend: {
    vendor: 'Huawei',
    resources: { count: 'huawei.com/Ascend910' },
    sharing: ['none'],
    env: { visible: ['ASCEND_VISIBLE_DEVICES', 'ASCEND_RT_VISIBLE_DEVICES'] },
    interconnect: 'HCCS',
    healthMetrics: ['npu_chip_info_health_status'],
  },
  cambricon: {
    vendor: 'Cambricon',
    resources: {
      count: 'cambricon.com/mlu',
      aliases: ['cambricon.com/vmlu', 'cambricon.com/mlunum'],
      cores: [percent('cambricon.com/mlu.smlu.vcore')],
      memory: [mebibytes('cambricon.com/mlumem')],
      memoryPercent: ['cambricon.com/mlu.smlu.vmemory'],
    },
    modelAnnotations: { wanted: ['cambricon.com/use-mlutype'], unwanted: ['cambricon.com/nouse-mlutype'] },
    sharing: ['fraction'],
    env: { visible: ['CAMBRICON_VISIBLE_DEVICES', 'MLU_VISIBLE_DEVICES'] },
    interconnect: 'MLU-Link',
    healthMetrics: ['mlu_health', 'mlu_temperature'],
  },
  hygon: {
    vendor: 'Hygon',
    resources: {
      count: 'hygon.com/dcunum',
      aliases: ['hygon.com/dcu'],
      cores: [percent('hygon.com/dcucores')],
      memory: [mebibytes('hygon.com/dcumem')],
    },
    modelAnnotations: { wanted: ['hygon.com/use-dcutype'], unwanted: ['hygon.com/nouse-dcutype'] },
    sharing: ['fraction'],
    env: { visible: ['HIP_VISIBLE_DEVICES'] },
    interconnect: 'xGMI',
    healthMetrics: ['dcu_temp', 'dcu_ecc_uncorrectable'],
  },
  'moore-threads': {
    vendor: 'Moore Threads',
    resources: {
      count: 'mthreads.com/vgpu',
      aliases: ['mthreads.com/gpu'],
      cores: [{ name: 'mthreads.com/sgpu-core', whole: 16 }],
      memory: [mebibytes('mthreads.com/sgpu-memory', 512)],
    },
    sharing: ['fraction'],
    env: { visible: ['MTHREADS_VISIBLE_DEVICES'] },
    interconnect: 'MTLink',
    healthMetrics: ['mtgpu_temperature'],
  },
  metax: {
    vendor: 'MetaX',
    resources: {
      count: 'metax-tech.com/gpu',
      aliases: ['metax-tech.com/sgpu'],
      cores: [percent('metax-tech.com/vcore')],
      memory: [mebibytes('metax-tech.com/vmemory', 1024)],
    },
    sharing: ['fraction'],
    env: { visible: ['METAX_VISIBLE_DEVICES'] },
    interconnect: 'MetaXLink',
    healthMetrics: ['mx_gpu_state', 'mx_chip_hotspot_temp'],
  },
  iluvatar: {
    vendor: 'Iluvatar CoreX',
    resources: {
      count: 'iluvatar.ai/gpu',
      aliases: ['iluvatar.ai/vgpu'],
      cores: [percent('iluvatar.ai/vcuda-core')],
      memory: [mebibytes('iluvatar.ai/vcuda-memory', 256)],
    },
    sharing: ['fraction'],
    env: { visible: ['ILUVATAR_VISIBLE_DEVICES', 'CUDA_VISIBLE_DEVICES'] },
    interconnect: 'IXLink',
    healthMetrics: ['ix_temperature'],
  },
  enflame: {
    vendor: 'Enflame',
    resources: {
      count: 'enflame.com/gcu',
      aliases: ['enflame.com/vgcu', 'enflame.com/shared-gcu'],
      cores: [percent('enflame.com/gcu-core'), { name: 'enflame.com/drs-gcu', whole: 6 }],
      memory: [mebibytes('enflame.com/gcu-memory')],
      memoryPercent: ['enflame.com/vgcu-percentage'],
    },
    sharing: ['fraction'],
    env: { visible: ['ENFLAME_VISIBLE_DEVICES', 'TOPS_VISIBLE_DEVICES'] },
    interconnect: 'GCU-LARE',
    healthMetrics: ['enflame_gcu_health', 'enflame_gcu_temperature'],
  },
  kunlunxin: {
    vendor: 'Kunlunxin',
    resources: {
      count: 'kunlunxin.com/xpu',
      aliases: ['kunlunxin.com/vxpu'],
      memory: [mebibytes('kunlunxin.com/vxpu-memory')],
    },
    sharing: ['fraction'],
    env: { visible: ['CXPU_VISIBLE_DEVICES', 'XPU_VISIBLE_DEVICES'] },
    interconnect: 'XPU Link',
    healthMetrics: ['xpu_temperature'],
  },
};

function ascend(chip: string, memoryMiB: number, slices: DeviceClassSpec['slices']) {
  const profile: Profile = {
    vendor: 'Huawei',
    resources: {
      count: `huawei.com/${chip}`,
      cores: [percent(`huawei.com/${chip}-core`)],
      memory: [mebibytes(`huawei.com/${chip}-memory`)],
    },
    defaultMemoryMiB: memoryMiB,
    sharing: ['fraction'],
    slices,
    env: { visible: ['ASCEND_VISIBLE_DEVICES', 'ASCEND_RT_VISIBLE_DEVICES'] },
    interconnect: 'HCCS',
    healthMetrics: ['npu_chip_info_health_status'],
  };
  return { [`ascend-${chip.replace('Ascend', '').toLowerCase()}`]: profile };
}
