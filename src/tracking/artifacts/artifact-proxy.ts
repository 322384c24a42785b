/** Files over HTTP, as `mlflow-artifacts:` URIs reach them. Streams both ways; never holds a whole file. */
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { BlobStore } from '../../blobs/blob-store.ts';
import { PREFIXES } from '../api.ts';
import { callerOf } from '../door.ts';
import { parseRequest } from '../request-shape.ts';
import {
  checkOwnPath,
  deleteArtifacts,
  getArtifactSize,
  listArtifacts,
  openArtifact,
  putArtifact,
  rootOf,
} from './artifacts.ts';
import { parseByteRange } from './byte-range.ts';
import { addUploadRoutes } from './upload-routes.ts';

const listInput = z.object({ path: z.string().default('') });
/** Never rendered by a browser: an artifact is some user's file, and this is everyone's origin. */
const DOWNLOAD_HEADERS = {
  'content-type': 'application/octet-stream',
  'content-disposition': 'attachment',
  'x-content-type-options': 'nosniff',
  'accept-ranges': 'bytes',
};

/** Adds GET, HEAD, PUT, DELETE, the listing, and uploads in parts under every prefix. */
export function addArtifactProxy(
  server: FastifyInstance,
  { blobs, newId }: { readonly blobs: BlobStore; readonly newId: () => string },
): void {
  // Its own scope, where bodies stay streams.
  void server.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', async (_request: FastifyRequest, body: Readable) => body);
    for (const prefix of PREFIXES) {
      addPlaces(scope, `${prefix}/mlflow-artifacts/artifacts`, blobs);
      addUploadRoutes(scope, `${prefix}/mlflow-artifacts`, { blobs, newId });
    }
  });
}

function addPlaces(scope: FastifyInstance, place: string, blobs: BlobStore): void {
  scope.get(place, async (request) => {
    const { path } = parseRequest(listInput, request.query);
    const { workspace } = callerOf(request);
    const folder = path.replace(/\/+$/, '') || rootOf(workspace).replace(/\/$/, '');
    if (folder !== '') checkOwnPath(workspace, folder);
    const files = await listArtifacts(blobs, folder);
    // MLflow names entries of this listing by their last part.
    return { files: files.map((file) => ({ ...file, path: file.path.slice(file.path.lastIndexOf('/') + 1) })) };
  });
  scope.head(`${place}/*`, async (request, reply) => {
    const sizeBytes = await getArtifactSize(blobs, pathOf(request));
    return reply.headers({ ...DOWNLOAD_HEADERS, 'content-length': sizeBytes }).send();
  });
  scope.get(`${place}/*`, async (request, reply) => sendArtifact(request, reply, blobs));
  scope.put(`${place}/*`, async (request) => {
    await putArtifact(blobs, pathOf(request), request.body instanceof Readable ? request.body : []);
    return {};
  });
  scope.delete(`${place}/*`, async (request) => {
    await deleteArtifacts(blobs, pathOf(request));
    return {};
  });
}

/** All of it or the range that is asked for. */
async function sendArtifact(request: FastifyRequest, reply: FastifyReply, blobs: BlobStore): Promise<FastifyReply> {
  const path = pathOf(request);
  const { range: asked, 'if-range': condition } = request.headers;
  // Files have no validators here, so that a condition never holds.
  const isPlain = asked === undefined || condition !== undefined;
  const range = isPlain ? 'whole' : parseByteRange(asked, await getArtifactSize(blobs, path));
  reply.headers(DOWNLOAD_HEADERS);
  if (range === 'whole') {
    const { sizeBytes, body } = await openArtifact(blobs, path);
    return reply.header('content-length', sizeBytes).send(Readable.from(body));
  }
  if (range === 'none')
    return reply
      .code(416)
      .header('content-range', `bytes */${await getArtifactSize(blobs, path)}`)
      .send();
  const { sizeBytes, body } = await openArtifact(blobs, path, range);
  const headers = {
    'content-length': range.end - range.start + 1,
    'content-range': `bytes ${range.start}-${range.end}/${sizeBytes}`,
  };
  return reply.code(206).headers(headers).send(Readable.from(body));
}

function pathOf(request: FastifyRequest): string {
  const path = parseRequest(z.object({ '*': z.string() }), request.params)['*'].replace(/\/+$/, '');
  checkOwnPath(callerOf(request).workspace, path);
  return path;
}
