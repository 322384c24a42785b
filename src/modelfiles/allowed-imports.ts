/**
 * What a pickle may import: exact names that fitted models and their arrays are made of, with the reason why a call
 * of each does no more than build a value. A list of what is forbidden would be wrong by tomorrow (picklescan's
 * bypasses); whatever is not here is unsafe. Names that reach others (getattr, partial, methodcaller, nested loaders)
 * are never here.
 */
import { SKLEARN_CLASSES } from './allowed-sklearn.ts';

interface Group {
  readonly reason: string;
  /** Names by module, apart by spaces. */
  readonly modules: Readonly<Record<string, string>>;
}

const BUILTINS = 'bool bytearray bytes complex dict float frozenset int list object range set slice str tuple';
const MULTIARRAY = '_reconstruct scalar';
const NUMPY_TYPES = [
  'bool bool_ int8 int16 int32 int64 intc intp uint8 uint16 uint32 uint64 uintc uintp float16 float32 float64 longdouble',
  'complex64 complex128 str_ bytes_ object_ void datetime64 timedelta64 dtype ndarray',
].join(' ');
const SPARSE = 'matrix array';
const TORCH_STORAGES = [
  'ByteStorage CharStorage ShortStorage IntStorage LongStorage HalfStorage FloatStorage DoubleStorage BoolStorage',
  'BFloat16Storage ComplexFloatStorage ComplexDoubleStorage QInt8Storage QUInt8Storage QInt32Storage QUInt4x2Storage',
  'QUInt2x4Storage',
].join(' ');
const TORCH_TYPES = [
  'uint8 int8 int16 int32 int64 float16 float32 float64 bfloat16 bool complex64 complex128 qint8 quint8 qint32',
  'float8_e4m3fn float8_e5m2 per_tensor_affine per_channel_affine strided sparse_coo sparse_csr Size device Tensor',
].join(' ');
const INDEX = '_new_Index Index';

const sparse = (kinds: string) =>
  Object.fromEntries(
    kinds.split(' ').flatMap((kind) => {
      const names = SPARSE.split(' ').map((shape) => `${kind}_${shape}`);
      return [`scipy.sparse._${kind}`, `scipy.sparse.${kind}`].map((module) => [module, names.join(' ')]);
    }),
  );

/** In order of who needs them. */
const GROUPS: readonly Group[] = [
  {
    reason: 'a value of Python itself',
    modules: {
      builtins: BUILTINS,
      __builtin__: `${BUILTINS} long unicode xrange`,
      collections: 'OrderedDict defaultdict Counter deque',
      copyreg: '_reconstructor',
      copy_reg: '_reconstructor',
      _codecs: 'encode',
      datetime: 'date datetime time timedelta timezone',
      decimal: 'Decimal',
      fractions: 'Fraction',
      uuid: 'UUID',
      pathlib: 'PurePosixPath PureWindowsPath',
    },
  },
  {
    reason: 'builds an array, a number or its type out of bytes',
    modules: {
      numpy: NUMPY_TYPES,
      'numpy.core.multiarray': MULTIARRAY,
      'numpy._core.multiarray': MULTIARRAY,
      'numpy.core.numeric': '_frombuffer',
      'numpy._core.numeric': '_frombuffer',
      'numpy.ma.core': '_mareconstruct MaskedArray',
      'numpy.dtypes': 'Float32DType Float64DType Int32DType Int64DType BoolDType ObjectDType StrDType',
      'numpy.random._pickle': '__randomstate_ctor __generator_ctor __bit_generator_ctor',
      'numpy.random._mt19937': 'MT19937',
      'numpy.random._pcg64': 'PCG64',
      'numpy.random._sfc64': 'SFC64',
      'numpy.random._philox': 'Philox',
      'numpy.random.bit_generator': 'SeedSequence __pyx_unpickle_SeedSequence',
      'joblib.numpy_pickle': 'NumpyArrayWrapper',
    },
  },
  { reason: 'a sparse matrix', modules: sparse('csr csc coo bsr dia dok lil') },
  { reason: 'keeps its arguments', modules: SKLEARN_CLASSES },
  {
    reason: 'builds a table or an index out of arrays',
    modules: {
      'pandas.core.frame': 'DataFrame',
      'pandas.core.series': 'Series',
      pandas: 'DataFrame Series Index RangeIndex MultiIndex Categorical CategoricalDtype StringDtype',
      'pandas.arrays': 'StringArray IntegerArray BooleanArray FloatingArray DatetimeArray NumpyExtensionArray',
      'pandas.core.internals.managers': 'BlockManager SingleBlockManager',
      'pandas.core.internals.blocks': 'new_block',
      'pandas._libs.internals': '_unpickle_block BlockManager',
      'pandas._libs.arrays': '__pyx_unpickle_NDArrayBacked NDArrayBacked',
      'pandas.core.indexes.base': INDEX,
      'pandas.core.indexes.range': 'RangeIndex',
      'pandas.core.indexes.multi': 'MultiIndex',
      'pandas.core.indexes.category': 'CategoricalIndex',
      'pandas.core.indexes.numeric': 'Int64Index UInt64Index Float64Index',
      'pandas.core.indexes.datetimes': '_new_DatetimeIndex DatetimeIndex',
      'pandas.core.arrays.categorical': 'Categorical',
      'pandas.core.arrays.datetimes': 'DatetimeArray',
      'pandas.core.arrays.integer': 'IntegerArray Int64Dtype',
      'pandas.core.arrays.boolean': 'BooleanArray',
      'pandas.core.arrays.string_': 'StringArray StringDtype',
      'pandas.core.arrays.numpy_': 'NumpyExtensionArray',
      'pandas.core.dtypes.dtypes': 'CategoricalDtype DatetimeTZDtype NumpyEADtype',
      'pandas._libs.tslibs.timestamps': '_unpickle_timestamp',
      'pandas._libs.tslibs.offsets': 'Day Hour Minute Second BusinessDay',
    },
  },
  {
    reason: 'keeps its arguments; the model itself is bytes that the library parses',
    modules: {
      'xgboost.core': 'Booster',
      'xgboost.sklearn': 'XGBClassifier XGBRegressor XGBRanker XGBRFClassifier XGBRFRegressor XGBModel',
      'lightgbm.basic': 'Booster',
      'lightgbm.sklearn': 'LGBMClassifier LGBMRegressor LGBMRanker LGBMModel',
    },
  },
  {
    reason: 'builds a tensor or its storage out of bytes of the same file',
    modules: {
      torch: `${TORCH_STORAGES} ${TORCH_TYPES}`,
      'torch._utils': [
        '_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_parameter _rebuild_parameter_with_state',
        '_rebuild_qtensor _rebuild_sparse_tensor _rebuild_meta_tensor_no_storage',
      ].join(' '),
      'torch._tensor': '_rebuild_from_type_v2',
      'torch.nn.parameter': 'Parameter Buffer',
      'torch.storage': 'UntypedStorage TypedStorage',
      'torch.serialization': '_get_layout',
    },
  },
  {
    reason: 'a layer: made without its constructor and given its numbers',
    modules: {
      'torch.nn.modules.container': 'Sequential ModuleList ModuleDict ParameterList ParameterDict',
      'torch.nn.modules.linear': 'Linear Identity Bilinear',
      'torch.nn.modules.conv': 'Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d',
      'torch.nn.modules.batchnorm': 'BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm',
      'torch.nn.modules.normalization': 'LayerNorm GroupNorm LocalResponseNorm RMSNorm',
      'torch.nn.modules.instancenorm': 'InstanceNorm1d InstanceNorm2d InstanceNorm3d',
      'torch.nn.modules.activation': [
        'ReLU ReLU6 LeakyReLU PReLU ELU SELU CELU GELU SiLU Mish Sigmoid Hardsigmoid Hardswish LogSigmoid LogSoftmax',
        'Softmax Softplus Softsign Tanh Hardtanh Threshold GLU MultiheadAttention',
      ].join(' '),
      'torch.nn.modules.pooling': [
        'MaxPool1d MaxPool2d MaxPool3d AvgPool1d AvgPool2d AvgPool3d AdaptiveAvgPool1d AdaptiveAvgPool2d',
        'AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d',
      ].join(' '),
      'torch.nn.modules.dropout': 'Dropout Dropout1d Dropout2d Dropout3d AlphaDropout',
      'torch.nn.modules.sparse': 'Embedding EmbeddingBag',
      'torch.nn.modules.rnn': 'RNN LSTM GRU RNNCell LSTMCell GRUCell',
      'torch.nn.modules.flatten': 'Flatten Unflatten',
      'torch.nn.modules.upsampling': 'Upsample UpsamplingNearest2d UpsamplingBilinear2d',
      'torch.nn.modules.padding':
        'ZeroPad2d ReflectionPad1d ReflectionPad2d ReplicationPad2d ConstantPad1d ConstantPad2d',
      'torch.nn.modules.transformer': [
        'Transformer TransformerEncoder TransformerDecoder TransformerEncoderLayer TransformerDecoderLayer',
      ].join(' '),
      'torch.nn.modules.loss':
        'BCELoss BCEWithLogitsLoss CrossEntropyLoss MSELoss L1Loss NLLLoss SmoothL1Loss HuberLoss',
    },
  },
];

const REASONS: ReadonlyMap<string, string> = new Map(
  GROUPS.flatMap(({ reason, modules }) =>
    Object.entries(modules).flatMap(([module, names]) =>
      names.split(' ').map((name) => [`${module} ${name}`, reason] as const),
    ),
  ),
);

/** Why this import is harmless; undefined for all that are not on the list. */
export function findImportReason(module: string, name: string): string | undefined {
  return REASONS.get(`${module} ${name}`);
}
