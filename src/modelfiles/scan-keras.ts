/**
 * Keras' configurations: in `.keras` as JSON, in HDF5 and SavedModel as a text among other bytes. Knows which parts
 * of one make Keras run code or read files (its CVEs 2024-3660, 2025-1550, 2025-8747, 2025-12058).
 */
import { isJsonObject } from '../base/json.ts';
import type { Bytes } from './bytes.ts';
import type { Tell } from './finding.ts';
import { MESSAGE_DEPTH_MAX } from './limits.ts';

const CODE_CLASSES = new Set(['Lambda', '__lambda__', 'TorchModuleWrapper', 'FlaxLayer', 'JaxLayer']);
const FILE_CLASSES = new Set(['StringLookup', 'IntegerLookup', 'IndexLookup', 'TextVectorization']);
/** Modules whose classes and functions compute. */
const MODULES = /^(keras|keras_hub|keras_nlp|keras_cv|tf_keras|tensorflow\.keras)(\.|$)/;
const FUNCTIONS = /(^|\.)(activations|losses|metrics|ops|initializers|regularizers|constraints|optimizers)(\.|$)/;
const OVERLAP_BYTES = 4 * 1024;

/** Looks through a configuration. */
export function scanKerasConfig(text: string, tell: Tell): void {
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch {
    return tell('header-broken', 'config.json', 'it is not JSON');
  }
  visit(config, tell, 0);
}

function visit(value: unknown, tell: Tell, depth: number): void {
  if (depth > MESSAGE_DEPTH_MAX) return tell('header-broken', 'config.json', 'it is nested too deeply');
  if (Array.isArray(value)) for (const item of value) visit(item, tell, depth + 1);
  if (!isJsonObject(value)) return;
  checkObject(value, tell);
  for (const item of Object.values(value)) visit(item, tell, depth + 1);
}

function checkObject(value: Readonly<Record<string, unknown>>, tell: Tell): void {
  const { class_name: className, module, registered_name: registered, config } = value;
  if (typeof className !== 'string') return;
  if (CODE_CLASSES.has(className)) tell('keras-code', className);
  if (typeof module === 'string' && module !== 'builtins' && !MODULES.test(module))
    tell('keras-code', `${module}.${className}`);
  if (typeof registered === 'string' && registered.includes('>') && !registered.startsWith('keras')) {
    tell('keras-code', registered);
  }
  if (className === 'function' && !(typeof module === 'string' && FUNCTIONS.test(module))) {
    tell('keras-code', `${String(module)}.${String(config)}`);
  }
  if (!FILE_CLASSES.has(className) || !isJsonObject(config)) return;
  for (const key of ['vocabulary', 'idf_weights']) {
    if (typeof config[key] === 'string') tell('keras-file-access', `${className} reads ${config[key]}`);
  }
}

const PATTERNS: readonly (readonly [RegExp, Parameters<Tell>[0]])[] = [
  [/"class_name"\s*:\s*"(Lambda|__lambda__|TorchModuleWrapper|FlaxLayer|JaxLayer)"/g, 'keras-code'],
  [/"registered_name"\s*:\s*"((?!keras)[^">]{1,80}>[^"]{1,80})"/g, 'keras-code'],
  [/"module"\s*:\s*"(?!keras|tf_keras|builtins|tensorflow)([\w.]{1,80})"/g, 'keras-code'],
  [/"(vocabulary|idf_weights)"\s*:\s*"([^"]{1,200})"/g, 'keras-file-access'],
  [/"[^"\\\n]{0,20}\\u00[2-7][0-9a-fA-F][^"\n]{0,40}"\s*:/g, 'keras-escaped-config'],
];

/** Looks for a configuration's dangerous parts anywhere in these bytes. */
export async function searchKerasText(bytes: Bytes, tell: Tell): Promise<void> {
  let rest = '';
  for await (const part of bytes.stream(0, bytes.sizeBytes)) {
    const text = rest + Buffer.from(part).toString('latin1');
    for (const [pattern, rule] of PATTERNS) {
      for (const [, name = 'an escaped name'] of text.matchAll(pattern)) tell(rule, name);
    }
    rest = text.slice(-OVERLAP_BYTES);
  }
}
