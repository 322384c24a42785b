/**
 * The registry over HTTP: OCI's distribution specification 1.1. Bytes are streamed both ways; who may do what is the
 * door's. What a repository has is elsewhere.
 */
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { parseByteRange } from '../artifacts/byte-range.ts';
import { callerOf, trackingOf } from '../door.ts';
import type { Shared, Tracking } from '../tracking.ts';
import { findBlob, linkBlob, unlinkBlob } from './oci-blobs.ts';
import { ociError, toOciAnswer } from './oci-error.ts';
import { IMAGE_INDEX, MANIFEST_BYTES_MAX } from './oci-manifest.ts';
import { deleteManifest } from './oci-manifests.ts';
import {
  checkDigest,
  findOciPath,
  isDigest,
  OCI_PREFIX,
  type OciEndpoint,
  parseRepository,
  VERSION_HEADER,
} from './oci-path.ts';
import { openRepository } from './oci-repository.ts';
import { addChunk, beginOciUpload, cancelOciUpload, completeOciUpload, getOffset } from './oci-uploads.ts';
import type { PackCache } from './ready-packs.ts';
import type { Repository } from './repository.ts';

const TAGS_MAX = 1_000;
const CHALLENGE = 'Basic realm="athanor", charset="UTF-8"';
/** Never rendered by a browser: a blob is some user's file. */
const BLOB_HEADERS = {
  'content-type': 'application/octet-stream',
  'x-content-type-options': 'nosniff',
  'accept-ranges': 'bytes',
};

/** One request to one place of a repository. */
interface Call {
  readonly tracking: Tracking;
  readonly repository: Repository;
  readonly reference: string;
  /** The repository as its client names it, for Location. */
  readonly place: string;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

type Answer = (call: Call) => Promise<FastifyReply>;

/** Adds `/v2/`, in a scope where bodies are streams and errors are a registry's. */
export function addOciRoutes(
  server: FastifyInstance,
  shared: Shared,
  onSurprise: (error: unknown) => void = () => undefined,
): void {
  const packs: PackCache = new Map();
  void server.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', async (_request: FastifyRequest, body: Readable) => body);
    scope.setErrorHandler((error, _request, reply) => {
      const { status, body } = toOciAnswer(error);
      if (status === 500) onSurprise(error);
      if (status === 401) reply.header('www-authenticate', CHALLENGE);
      return reply.code(status).type('application/json').send(body);
    });
    scope.addHook('onSend', async (_request, reply) => {
      reply.header('docker-distribution-api-version', 'registry/2.0');
    });
    for (const url of ['/v2', OCI_PREFIX]) scope.get(url, async (_request, reply) => reply.send({}));
    scope.route({
      method: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
      url: `${OCI_PREFIX}*`,
      handler: async (request, reply) => answer({ shared, packs }, request, reply),
    });
  });
}

interface Registry {
  readonly shared: Shared;
  readonly packs: PackCache;
}

async function answer(
  { shared, packs }: Registry,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const rest = request.url.split('?', 1)[0]?.slice(OCI_PREFIX.length) ?? '';
  const path = findOciPath(rest);
  const found = path && ANSWERS[path.endpoint][request.method];
  if (!path || !found) {
    throw ociError('UNSUPPORTED', `cannot ${request.method} ${rest}: this registry has no such endpoint`);
  }
  const tracking = trackingOf(request, shared);
  const repository = openRepository(tracking, path.repository, { packs, user: callerOf(request).user });
  const name = [path.workspace, ...path.repository.split('/')].filter((part) => part !== undefined);
  const place = `${OCI_PREFIX}${name.map(encodeURIComponent).join('/')}`;
  return found({ tracking, repository, reference: path.reference, place, request, reply });
}

const sendManifest: Answer = async ({ repository, reference, request, reply }) => {
  const { mediaType, digest, content } = await repository.getManifest(reference);
  const headers = { 'content-length': Buffer.byteLength(content), 'docker-content-digest': digest };
  reply.headers({ ...headers, 'content-type': mediaType, 'x-content-type-options': 'nosniff' });
  return request.method === 'HEAD' ? reply.send() : reply.send(Buffer.from(content));
};

const takeManifest: Answer = async ({ repository, reference, place, request, reply }) => {
  const mediaType = request.headers['content-type']?.split(';', 1)[0]?.trim() ?? '';
  const content = await readManifest(request);
  const { digest, subject, version } = await repository.putManifest({ reference, mediaType, content });
  if (version !== undefined) reply.header(VERSION_HEADER, version);
  if (subject !== undefined) reply.header('oci-subject', subject);
  reply.headers({ location: `${place}/manifests/${digest}`, 'docker-content-digest': digest });
  return reply.code(201).send();
};

/** @throws SIZE_INVALID, MANIFEST_INVALID for what is no UTF-8 */
async function readManifest({ body }: FastifyRequest): Promise<string> {
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const part of streamOf(body)) {
    sizeBytes += part.length;
    if (sizeBytes > MANIFEST_BYTES_MAX) {
      throw ociError('SIZE_INVALID', `cannot keep the manifest: it is larger than ${MANIFEST_BYTES_MAX} bytes`);
    }
    parts.push(part);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(parts));
  } catch (error) {
    throw ociError('MANIFEST_INVALID', 'cannot read the manifest: it is no UTF-8', error);
  }
}

const dropManifest: Answer = async ({ tracking, repository, reference, reply }) => {
  repository.checkMayDelete();
  await deleteManifest(tracking, repository.name, reference);
  return reply.code(202).send();
};

const sendBlob: Answer = async ({ repository, reference, request, reply }) => {
  checkDigest(reference);
  const isHead = request.method === 'HEAD';
  const { sizeBytes, open } = isHead ? await repository.statBlob(reference) : await repository.getBlob(reference);
  const range = isHead ? 'whole' : parseByteRange(request.headers.range, sizeBytes);
  reply.headers({ ...BLOB_HEADERS, 'docker-content-digest': reference });
  if (isHead) return reply.header('content-length', sizeBytes).send();
  if (range === 'none') {
    reply.header('content-range', `bytes */${sizeBytes}`);
    throw ociError('RANGE_INVALID', `cannot read ${reference}: it has ${sizeBytes} bytes`);
  }
  if (range === 'whole') return reply.header('content-length', sizeBytes).send(Readable.from((await open()).body));
  const { body } = await open(range);
  reply.headers({
    'content-length': range.end - range.start + 1,
    'content-range': `bytes ${range.start}-${range.end}/${sizeBytes}`,
  });
  return reply.code(206).send(Readable.from(body));
};

const dropBlob: Answer = async ({ tracking, repository, reference, reply }) => {
  checkDigest(reference);
  repository.checkMayDelete();
  await unlinkBlob(tracking, repository.name, reference);
  return reply.code(202).send();
};

/** Begins an upload, takes all of a blob at once, or takes one from another repository. */
const beginUpload: Answer = async (call) => {
  const { tracking, repository, request } = call;
  const { mount, from, digest } = queryOf(request);
  if (mount !== undefined && from !== undefined && (await mountBlob(call, mount, from))) return made(call, mount);
  const upload = { ...uploadOf(call), uploadId: tracking.newId() };
  if (digest !== undefined) checkDigest(digest);
  await beginOciUpload(tracking.blobs, upload);
  if (digest === undefined) return accepted(call, upload.uploadId, 0);
  const rest = streamOf(request.body);
  await linkBlob(tracking, repository.name, await completeOciUpload(tracking.blobs, upload, { digest, rest }));
  return made(call, digest);
};

/** Only within a workspace: elsewhere the sender would have to be asked for again. */
async function mountBlob({ tracking, repository }: Call, digest: string, from: string): Promise<boolean> {
  const source = parseRepository(from);
  if (!isDigest(digest) || (source.workspace ?? tracking.workspace) !== tracking.workspace) return false;
  const blob = await findBlob(tracking, source.repository, digest);
  if (!blob) return false;
  await linkBlob(tracking, repository.name, blob);
  return true;
}

const takeChunk: Answer = async (call) => {
  const { tracking, reference, request } = call;
  const chunk = { startsAt: startOf(request), source: streamOf(request.body) };
  return accepted(call, reference, await addChunk(tracking.blobs, uploadOf(call), chunk).catch(tellRange(call)));
};

const endUpload: Answer = async (call) => {
  const { tracking, repository, request } = call;
  const { digest } = queryOf(request);
  checkDigest(digest ?? '');
  const startsAt = startOf(request);
  const last = { digest: digest ?? '', rest: streamOf(request.body), ...(startsAt !== undefined && { startsAt }) };
  const blob = await completeOciUpload(tracking.blobs, uploadOf(call), last).catch(tellRange(call));
  await linkBlob(tracking, repository.name, blob);
  return made(call, blob.digest);
};

const tellUpload: Answer = async (call) => {
  accepted(call, call.reference, await getOffset(call.tracking.blobs, uploadOf(call)));
  return call.reply.code(204);
};

const dropUpload: Answer = async (call) => {
  await cancelOciUpload(call.tracking.blobs, uploadOf(call));
  return call.reply.code(204).send();
};

/** In the order of their bytes; `n` at most, behind `last`. */
const sendTags: Answer = async ({ repository, place, request, reply }) => {
  const { n, last = '' } = queryOf(request);
  const limit = n !== undefined && /^\d{1,9}$/.test(n) ? Math.min(Number(n), TAGS_MAX) : TAGS_MAX;
  const all = (await repository.listTags()).filter((tag) => tag > last).toSorted((a, b) => (a < b ? -1 : 1));
  const tags = all.slice(0, limit);
  const end = tags.at(-1);
  if (all.length > tags.length && end !== undefined) {
    reply.header('link', `<${place}/tags/list?n=${limit}&last=${encodeURIComponent(end)}>; rel="next"`);
  }
  return reply.send({ name: decodeURIComponent(place.slice(OCI_PREFIX.length)), tags });
};

const sendReferrers: Answer = async ({ repository, reference, request, reply }) => {
  checkDigest(reference);
  const { artifactType } = queryOf(request);
  if (artifactType !== undefined) reply.header('oci-filters-applied', 'artifactType');
  const manifests = await repository.listReferrers({ subject: reference, artifactType });
  const index = { schemaVersion: 2, mediaType: IMAGE_INDEX, manifests };
  return reply.type(IMAGE_INDEX).send(Buffer.from(JSON.stringify(index)));
};

const ANSWERS: Readonly<Record<OciEndpoint, Readonly<Record<string, Answer>>>> = {
  manifests: { GET: sendManifest, HEAD: sendManifest, PUT: takeManifest, DELETE: dropManifest },
  blobs: { GET: sendBlob, HEAD: sendBlob, DELETE: dropBlob },
  uploads: { POST: beginUpload, PATCH: takeChunk, PUT: endUpload, GET: tellUpload, DELETE: dropUpload },
  tags: { GET: sendTags },
  referrers: { GET: sendReferrers },
};

function made({ place, reply }: Call, digest: string): FastifyReply {
  const headers = { location: `${place}/blobs/${digest}`, 'docker-content-digest': digest };
  return reply.code(201).headers(headers).send();
}

/** Range counts the last byte, so that nothing and one byte look alike, as everywhere. */
function accepted({ place, reply }: Call, uploadId: string, offset: number): FastifyReply {
  const headers = { location: `${place}/blobs/uploads/${uploadId}`, range: `0-${Math.max(0, offset - 1)}` };
  return reply
    .code(202)
    .headers({ ...headers, 'docker-upload-uuid': uploadId })
    .send();
}

/** A client out of step is told where to go on. */
function tellRange(call: Call): (error: unknown) => Promise<never> {
  return async (error) => {
    if (toOciAnswer(error).status === 416) {
      const offset = await getOffset(call.tracking.blobs, uploadOf(call));
      const location = `${call.place}/blobs/uploads/${call.reference}`;
      call.reply.headers({ location, range: `0-${Math.max(0, offset - 1)}` });
    }
    throw error;
  };
}

function uploadOf({ tracking, repository, reference }: Call) {
  return { workspace: tracking.workspace, repository: repository.name, uploadId: reference };
}

/** Where a chunk says it begins. @throws RANGE_INVALID when it says something else */
function startOf({ headers }: FastifyRequest): number | undefined {
  const text = headers['content-range'];
  if (text === undefined) return undefined;
  const [, first = '', last = ''] = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/.*)?$/.exec(text.trim()) ?? [];
  const length = headers['content-length'];
  const hasLength = length === undefined || Number(length) === Number(last) - Number(first) + 1;
  if (first !== '' && hasLength) return Number(first);
  throw ociError('RANGE_INVALID', `cannot read Content-Range ${text}: want first-last, as many bytes as there are`);
}

function queryOf({ query }: FastifyRequest): Readonly<Record<string, string | undefined>> {
  const entries = Object.entries(query ?? {}).map(([key, value]) => [key, String([value].flat()[0])]);
  return Object.fromEntries(entries);
}

function streamOf(body: unknown): AsyncIterable<Uint8Array> | readonly Uint8Array[] {
  return body instanceof Readable ? body : [];
}
