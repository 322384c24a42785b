/** Files over HTTP, as `mlflow-artifacts:` URIs reach them. Streams both ways; never holds a whole file. */
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { BlobStore } from '../blobs/blob-store.ts';
import { PREFIXES } from './api.ts';
import { checkOwnPath, deleteArtifacts, listArtifacts, openArtifact, putArtifact, rootOf } from './artifacts.ts';
import { callerOf } from './door.ts';
import { parseRequest } from './request-shape.ts';

const listInput = z.object({ path: z.string().default('') });
/** Never rendered by a browser: an artifact is some user's file, and this is everyone's origin. */
const DOWNLOAD_HEADERS = {
  'content-type': 'application/octet-stream',
  'content-disposition': 'attachment',
  'x-content-type-options': 'nosniff',
};

/** Adds GET, PUT, DELETE and the listing under every prefix. */
export function addArtifactProxy(server: FastifyInstance, blobs: BlobStore): void {
  // Its own scope, where bodies stay streams.
  void server.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', async (_request: FastifyRequest, body: Readable) => body);
    for (const prefix of PREFIXES) addPlaces(scope, `${prefix}/mlflow-artifacts/artifacts`, blobs);
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
  scope.get(`${place}/*`, async (request, reply) => {
    const { sizeBytes, body } = await openArtifact(blobs, pathOf(request));
    return reply.headers({ ...DOWNLOAD_HEADERS, 'content-length': sizeBytes }).send(Readable.from(body));
  });
  scope.put(`${place}/*`, async (request) => {
    await putArtifact(blobs, pathOf(request), request.body instanceof Readable ? request.body : []);
    return {};
  });
  scope.delete(`${place}/*`, async (request) => {
    await deleteArtifacts(blobs, pathOf(request));
    return {};
  });
}

function pathOf(request: FastifyRequest): string {
  const path = parseRequest(z.object({ '*': z.string() }), request.params)['*'].replace(/\/+$/, '');
  checkOwnPath(callerOf(request).workspace, path);
  return path;
}
