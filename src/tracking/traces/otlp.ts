/**
 * Spans as OpenTelemetry's exporters send them (OTLP/HTTP 1.x, protobuf or JSON) and as MLflow's JSON shows them: bytes
 * in base64, 64-bit numbers as texts, field names with underscores. Knows the wire; keeps nothing.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { StatusError } from '../../kube/status-error.ts';

/** A value of an attribute; exactly one field is there. */
export interface AnyValue {
  readonly string_value?: string;
  readonly bool_value?: boolean;
  readonly int_value?: string;
  readonly double_value?: number | string;
  readonly array_value?: { readonly values?: readonly AnyValue[] };
  readonly kvlist_value?: { readonly values?: readonly Attribute[] };
  readonly bytes_value?: string;
}

export interface Attribute {
  readonly key: string;
  readonly value?: AnyValue;
}

/** Ids are base64; times are nanoseconds since 1970 as decimal texts. */
export interface OtlpSpan {
  readonly trace_id: string;
  readonly span_id: string;
  readonly parent_span_id?: string;
  readonly name?: string;
  readonly kind?: string;
  readonly start_time_unix_nano?: string;
  readonly end_time_unix_nano?: string;
  readonly attributes?: readonly Attribute[];
  readonly events?: readonly object[];
  readonly links?: readonly object[];
  readonly status?: { readonly code?: string; readonly message?: string };
}

interface ExportRequest {
  readonly resource_spans?: readonly {
    readonly scope_spans?: readonly { readonly spans?: readonly OtlpSpan[] }[];
  }[];
}

const MESSAGE = 'ExportTraceServiceRequest';
const DEPTH_MAX = 200;
const HEX_FIELDS = ['trace_id', 'span_id', 'parent_span_id'] as const;
/** Where OTLP's own JSON keeps what protobuf's keeps under names with underscores. */
const TO_JSON = { longs: String, enums: String, bytes: String } as const;

/** All spans of a protobuf request. @throws Invalid when it is none */
export async function decodeSpans(body: Uint8Array): Promise<readonly OtlpSpan[]> {
  const type = await loadMessage();
  let request: ExportRequest;
  try {
    request = type.toObject(type.decode(body), TO_JSON) as ExportRequest; // why: the schema beside this file
  } catch (error) {
    throw new StatusError('Invalid', 'Invalid OpenTelemetry format', { cause: error });
  }
  return listSpans(request);
}

/** All spans of a JSON request, whose ids are hexadecimal and whose names are lowerCamelCase. @throws Invalid */
export function parseSpans(text: string): readonly OtlpSpan[] {
  try {
    const request = jsonRequest.parse(toSnakeCase(JSON.parse(text))) as ExportRequest; // why: it was just checked
    return listSpans(request).map((span) => ({ ...span, ...toBase64Ids(span), ...nameStatus(span) }));
  } catch (error) {
    if (error instanceof StatusError) throw error;
    throw new StatusError('Invalid', 'Invalid OpenTelemetry format', { cause: error });
  }
}

const nanoseconds = z.coerce.string().regex(/^\d{1,20}$/);
const anyValue: z.ZodType = z.lazy(() =>
  z.looseObject({
    string_value: z.string().optional(),
    bool_value: z.boolean().optional(),
    int_value: z.coerce
      .string()
      .regex(/^-?\d{1,20}$/)
      .optional(),
    double_value: z.union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity'])]).optional(),
    bytes_value: z.string().optional(),
    array_value: z.looseObject({ values: z.array(anyValue).optional() }).optional(),
    kvlist_value: z.looseObject({ values: z.array(attribute).optional() }).optional(),
  }),
);
const attribute = z.looseObject({ key: z.string(), value: anyValue.optional() });
const attributes = z.array(attribute).optional();
const jsonSpan = z.looseObject({
  trace_id: z.string().regex(/^[0-9a-f]{32}$/i),
  span_id: z.string().regex(/^[0-9a-f]{16}$/i),
  parent_span_id: z
    .string()
    .regex(/^([0-9a-f]{16})?$/i)
    .optional(),
  name: z.string().optional(),
  start_time_unix_nano: nanoseconds.optional(),
  end_time_unix_nano: nanoseconds.optional(),
  attributes,
  events: z.array(z.looseObject({})).optional(),
  links: z.array(z.looseObject({})).optional(),
  status: z.looseObject({ code: z.coerce.string().optional(), message: z.string().optional() }).optional(),
});
const jsonRequest = z.looseObject({
  resource_spans: z.array(
    z.looseObject({ scope_spans: z.array(z.looseObject({ spans: z.array(jsonSpan).optional() })).optional() }),
  ),
});

function listSpans({ resource_spans = [] }: ExportRequest): readonly OtlpSpan[] {
  if (resource_spans.length === 0) {
    throw new StatusError('Invalid', 'Invalid OpenTelemetry format - no spans found');
  }
  const spans = resource_spans.flatMap(({ scope_spans = [] }) => scope_spans.flatMap(({ spans: own = [] }) => own));
  for (const { trace_id, span_id } of spans) {
    if (!trace_id || !span_id) throw new StatusError('Invalid', 'Cannot convert OpenTelemetry span to MLflow span');
  }
  return spans;
}

interface MessageType {
  decode(bytes: Uint8Array): object;
  toObject(message: object, options: object): object;
}

/** Read when the first request comes: few servers of a laptop ever get one. */
async function loadMessage(): Promise<MessageType> {
  const { default: protobuf } = await import('protobufjs');
  const schema = await readFile(join(import.meta.dirname, 'otlp.proto'), 'utf8');
  const { root } = protobuf.parse(schema, { keepCase: true });
  return root.lookupType(MESSAGE) as unknown as MessageType; // why: its types are loose
}

function toSnakeCase(value: unknown, depth = 0): unknown {
  checkDepth(depth);
  if (Array.isArray(value)) return value.map((item) => toSnakeCase(item, depth + 1));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      toSnakeCase(item, depth + 1),
    ]),
  );
}

function checkDepth(depth: number): void {
  if (depth > DEPTH_MAX)
    throw new StatusError('Invalid', `cannot keep the spans: they are nested over ${DEPTH_MAX} deep`);
}

function toBase64Ids(span: OtlpSpan): Partial<OtlpSpan> {
  const ids = HEX_FIELDS.flatMap((field) => {
    const hex = span[field];
    return hex ? [[field, Buffer.from(hex, 'hex').toString('base64')]] : [];
  });
  return Object.fromEntries(ids);
}

function nameStatus({ status }: OtlpSpan): Partial<OtlpSpan> {
  const names = ['STATUS_CODE_UNSET', 'STATUS_CODE_OK', 'STATUS_CODE_ERROR'];
  const code = status?.code;
  return status ? { status: { ...status, ...(code !== undefined && { code: names[Number(code)] ?? code }) } } : {};
}

/** An attribute's value as JSON; numbers beyond 2^53 stay texts. @throws Invalid when it is nested too deep */
export function toJson(value: AnyValue | undefined, depth = 0): unknown {
  checkDepth(depth);
  if (value === undefined) return null;
  if (value.array_value) return (value.array_value.values ?? []).map((item) => toJson(item, depth + 1));
  if (value.kvlist_value) {
    return Object.fromEntries(
      (value.kvlist_value.values ?? []).map(({ key, value: item }) => [key, toJson(item, depth + 1)]),
    );
  }
  const { string_value, bool_value, int_value, double_value, bytes_value } = value;
  if (int_value !== undefined) return Number.isSafeInteger(Number(int_value)) ? Number(int_value) : int_value;
  return string_value ?? bool_value ?? double_value ?? bytes_value ?? null;
}
