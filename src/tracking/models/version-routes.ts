/**
 * What MLflow's API has no words for: a version's digest, size and signatures. Below `/api/athanor/v1`; MLflow's routes are
 * elsewhere.
 */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { trackingOf } from '../door.ts';
import { parseRequest, text } from '../request-shape.ts';
import { type Route, route } from '../route.ts';
import type { Shared } from '../tracking.ts';
import { acceptVersion } from './accept-version.ts';
import { getVersion } from './model-versions.ts';
import { writeBom, writeCard } from './version-bom.ts';
import { readVersionContent } from './version-content.ts';
import { addSignature, getSignature, listSignatures, listVersionSignatures } from './version-signatures.ts';

const oneVersion = z.object({ name: text, version: text });

/** Where they are. */
export const ATHANOR_PREFIX = '/api/athanor/v1';

/** Below that prefix. */
export const versionRoutes: readonly Route[] = [
  route('GET /models/:name/versions/:version', {
    input: oneVersion,
    answer: async (tracking, id) => {
      const { name, version, source, status, status_message, digest, size_bytes } = await getVersion(tracking, id);
      return {
        name,
        version: String(version),
        source,
        status,
        ...(status_message !== '' && { statusMessage: status_message }),
        ...(digest !== null && { digest, sizeBytes: size_bytes }),
      };
    },
  }),
  route('POST /models/:name/versions/:version/accept', {
    input: oneVersion.extend({ reason: z.string().default('') }),
    answer: async (tracking, { reason, ...id }, { user }) => {
      await acceptVersion(tracking, id, { user, reason });
      const { status, status_message } = await getVersion(tracking, id);
      return { ...id, status, statusMessage: status_message };
    },
  }),
  route('GET /models/:name/signatures', {
    input: z.object({ name: text }),
    answer: async (tracking, { name }) => ({ signatures: await listSignatures(tracking, name) }),
  }),
  route('GET /models/:name/versions/:version/signatures', {
    input: oneVersion,
    answer: async (tracking, id) => ({ signatures: await listVersionSignatures(tracking, id) }),
  }),
  route('GET /models/:name/versions/:version/signatures/:digest', {
    input: oneVersion.extend({ digest: text }),
    answer: async (tracking, { digest, ...id }) => getSignature(tracking, id, digest),
  }),
  route('POST /models/:name/versions/:version/signatures', {
    input: oneVersion.extend({ bundle: text }),
    answer: async (tracking, { bundle, ...id }) => addSignature(tracking, id, { bundle }),
  }),
  route('GET /models/:name/versions/:version/bom', {
    input: oneVersion,
    answer: async (tracking, id) => writeBom(await readVersionContent(tracking, id)),
  }),
];

/** Adds the one answer that is no JSON. */
export function addCard(server: FastifyInstance, shared: Shared): void {
  server.get(`${ATHANOR_PREFIX}/models/:name/versions/:version/card`, async (request, reply) => {
    const id = parseRequest(oneVersion, request.params);
    const card = writeCard(await readVersionContent(trackingOf(request, shared), id));
    return reply.header('x-content-type-options', 'nosniff').type('text/markdown; charset=utf-8').send(card);
  });
}
