/**
 * What MLflow's API has no words for: a version's digest and size. Below `/api/athanor/v1`; MLflow's routes are
 * elsewhere.
 */
import { z } from 'zod';
import { getVersion } from './model-versions.ts';
import { text } from './request-shape.ts';
import { type Route, route } from './route.ts';

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
];
