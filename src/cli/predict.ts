/** `athanor predict`: asks a service through the gateway, in the Open Inference Protocol. */
import { readFile } from 'node:fs/promises';
import { isJsonObject } from '../base/json.ts';
import { StatusError } from '../kube/status-error.ts';
import type { CommandContext } from './context.ts';
import { formatValue, parseFormat } from './output.ts';
import { findRunState } from './run-state.ts';

export interface PredictFlags {
  readonly namespace: string;
  readonly input?: string;
  readonly gateway?: string;
  readonly output?: string;
}

interface Tensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data?: readonly unknown[];
}

/** Input: a whole request, or an array of rows for a model with one input. Without it, prints what the model takes. */
export async function predict(context: CommandContext, service: string, flags: PredictFlags): Promise<void> {
  const gateway = flags.gateway ?? findRunState(context.config.home)?.endpoints.gateway;
  if (gateway === undefined)
    throw new StatusError(
      'ServiceUnavailable',
      "cannot predict: Athanor is not running, start it with 'athanor up' or name a --gateway",
    );
  const model = `${gateway}/${flags.namespace}/${service}/v2/models/${service}`;
  const metadata = await ask<{ inputs: readonly Tensor[]; outputs: readonly Tensor[] }>(model);
  if (flags.input === undefined) {
    context.stdout.write(formatValue(metadata, 'yaml'));
    return;
  }
  const request = toRequest(await readInput(flags.input), metadata.inputs);
  const answer = await ask<{ outputs: readonly Tensor[] }>(`${model}/infer`, request);
  const format = parseFormat(flags.output);
  if (format === 'json' || format === 'yaml') context.stdout.write(formatValue(answer, format));
  else
    for (const { name, shape, data = [] } of answer.outputs)
      context.stdout.write(`${name} [${shape.join(', ')}]: ${JSON.stringify(data)}\n`);
}

async function readInput(input: string): Promise<unknown> {
  const text =
    input.trimStart().startsWith('[') || input.trimStart().startsWith('{')
      ? input
      : await readFile(input === '-' ? '/dev/stdin' : input, 'utf8');
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new StatusError('BadRequest', `cannot read the input: it is not JSON`, { cause });
  }
}

function toRequest(input: unknown, inputs: readonly Tensor[]): unknown {
  if (isJsonObject(input)) return input;
  const [tensor] = inputs;
  if (tensor === undefined || inputs.length !== 1) {
    throw new StatusError(
      'BadRequest',
      `cannot use an array: the model has ${inputs.length} inputs (${inputs.map(({ name }) => name).join(', ')}), give a whole request`,
    );
  }
  return {
    inputs: [
      {
        name: tensor.name,
        datatype: tensor.datatype,
        shape: shapeOf(input),
        data: (input as unknown[]).flat(Number.POSITIVE_INFINITY),
      },
    ],
  }; // why: JSON that is no object and parses here is an array
}

function shapeOf(value: unknown): readonly number[] {
  return Array.isArray(value) ? [value.length, ...shapeOf(value[0])] : [];
}

async function ask<T>(url: string, body?: unknown): Promise<T> {
  const options =
    body === undefined
      ? {}
      : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const response = await fetch(url, options).catch((cause: unknown) => {
    throw new StatusError('ServiceUnavailable', `cannot reach the gateway at ${new URL(url).origin}`, { cause });
  });
  // why: the protocol's answer, or its error
  const answer = (await response.json().catch(() => ({}))) as T & { readonly error?: string };
  if (response.ok) return answer;
  const reason = response.status === 404 ? 'NotFound' : response.status >= 500 ? 'ServiceUnavailable' : 'Invalid';
  throw new StatusError(reason, `cannot predict: ${answer.error ?? `the gateway answered ${response.status}`}`);
}
