/**
 * Artifacts in parts over HTTP, as MLflow's client sends large ones, and URLs that are good for one file. Where the
 * store lets clients reach it, bytes go there; otherwise parts come here.
 */
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { BlobStore } from '../../blobs/blob-store.ts';
import { StatusError } from '../../kube/status-error.ts';
import { callerOf } from '../door.ts';
import { int64, listOf, parseRequest, text } from '../request-shape.ts';
import { artifactKey, checkOwnPath } from './artifacts.ts';
import { abortUpload, beginUpload, completeUpload, PARTS_MAX, putPart, type Upload } from './uploads.ts';

/** MLflow's own default of MLFLOW_PRESIGNED_DOWNLOAD_URL_TTL_SECONDS. */
const DOWNLOAD_SECONDS = 300;
const JSON_BYTES_MAX = 4 * 1024 * 1024;

const place = z.object({ '*': z.string().default('') });
const createInput = z.object({ path: text, num_parts: int64.default(1) });
const abortInput = z.object({ path: text, upload_id: z.string().default('') });
const part = z.object({ part_number: int64, etag: z.string().default('') });
const completeInput = abortInput.extend({ parts: listOf(part).refine((parts) => parts.length > 0, 'missing') });
const partInput = z.object({ upload: z.string(), number: int64 });

interface Options {
  readonly blobs: BlobStore;
  readonly newId: () => string;
}

/** Adds the endpoints below `prefix`, in a scope where bodies are streams. */
export function addUploadRoutes(scope: FastifyInstance, prefix: string, { blobs, newId }: Options): void {
  const { direct } = blobs;
  scope.post(`${prefix}/mpu/create/*`, async (request) => {
    const { path, body } = await readPlace(request, createInput);
    const { num_parts: count } = body;
    if (count < 1 || count > PARTS_MAX)
      throw new StatusError(
        'Invalid',
        `Invalid value ${count} for parameter 'num_parts' supplied: want 1 to ${PARTS_MAX}`,
      );
    if (direct !== undefined) {
      const { uploadId, parts } = await direct.beginUpload(artifactKey(path), count);
      const credentials = parts.map(({ number, url }) => ({ part_number: number, url, headers: {} }));
      return { upload_id: uploadId, credentials };
    }
    const upload = uploadOf(request, newId());
    await beginUpload(blobs, upload, path);
    return {
      upload_id: upload.uploadId,
      credentials: planParts(request, `${prefix}/mpu/parts/${upload.uploadId}`, count),
    };
  });
  scope.put(`${prefix}/mpu/parts/:upload/:number`, async (request, reply) => {
    const { upload, number } = parseRequest(partInput, request.params);
    const source = request.body instanceof Readable ? request.body : [];
    const etag = await putPart(blobs, uploadOf(request, upload), { number, source });
    return reply.header('etag', `"${etag}"`).send({});
  });
  scope.post(`${prefix}/mpu/complete/*`, async (request) => {
    const { path, body } = await readPlace(request, completeInput);
    const parts = body.parts.map(({ part_number: number, etag }) => ({ number, etag }));
    if (direct !== undefined) await direct.completeUpload(artifactKey(path), body.upload_id, parts);
    else {
      const unquoted = parts.map(({ number, etag }) => ({ number, etag: etag.replaceAll('"', '') }));
      await completeUpload(blobs, uploadOf(request, body.upload_id), { path, parts: unquoted });
    }
    return {};
  });
  scope.post(`${prefix}/mpu/abort/*`, async (request) => {
    const { path, body } = await readPlace(request, abortInput);
    if (direct !== undefined) await direct.abortUpload(artifactKey(path), body.upload_id);
    else await abortUpload(blobs, uploadOf(request, body.upload_id), path);
    return {};
  });
  scope.get(`${prefix}/presigned/*`, async (request, reply) => {
    const path = ownPath(request, parseRequest(place, request.params)['*']);
    if (direct === undefined) return refusePresigned(reply);
    const { url, sizeBytes } = await direct.signRead(artifactKey(path), DOWNLOAD_SECONDS);
    return { url, headers: {}, file_size: sizeBytes };
  });
}

/** In the words that make MLflow's client take the way through this server. */
function refusePresigned(reply: FastifyReply): FastifyReply {
  const message = 'Multipart download is not supported for the current artifact repository';
  return reply.code(501).send({ error_code: 'NOT_IMPLEMENTED', message });
}

/** Where this server was asked is where the parts go, by whoever asked: the sender's own token goes back to them. */
function planParts(request: FastifyRequest, path: string, count: number) {
  const { authorization } = request.headers;
  const { workspace } = callerOf(request);
  const headers = { 'X-MLFLOW-WORKSPACE': workspace, ...(authorization && { Authorization: authorization }) };
  const base = `${request.protocol}://${request.headers.host}${path}`;
  return Array.from({ length: count }, (_, index) => ({
    part_number: index + 1,
    url: `${base}/${index + 1}`,
    headers,
  }));
}

/** The file is named by the last part of the sender's own path, below the place that the URL names. */
async function readPlace<T extends z.ZodType<{ readonly path: string }>>(request: FastifyRequest, shape: T) {
  const folder = parseRequest(place, request.params)['*'].replaceAll(/^\/+|\/+$/g, '');
  const body = parseRequest(shape, await readJson(request.body));
  const name = body.path.split(/[/\\]/).at(-1) ?? '';
  return { path: ownPath(request, folder === '' ? name : `${folder}/${name}`), body };
}

function ownPath(request: FastifyRequest, path: string): string {
  checkOwnPath(callerOf(request).workspace, path);
  artifactKey(path);
  return path;
}

function uploadOf(request: FastifyRequest, uploadId: string): Upload {
  return { workspace: callerOf(request).workspace, uploadId };
}

async function readJson(body: unknown): Promise<unknown> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of body instanceof Readable ? body : []) {
    const bytes = Buffer.from(chunk);
    sizeBytes += bytes.length;
    if (sizeBytes > JSON_BYTES_MAX) throw new StatusError('RequestEntityTooLarge', 'Request body is too large');
    chunks.push(bytes);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString() || '{}');
  } catch (error) {
    throw new StatusError('BadRequest', `cannot read the request: its body is not JSON (${String(error)})`, {
      cause: error,
    });
  }
}
