/** Keeps the credentials of the blob store where pods find them: one Secret in every namespace, also in new ones. */
import type { Clock } from '../base/clock.ts';
import type { BlobAccess } from '../blobs/s3-location.ts';
import { createInformer } from '../client/informer.ts';
import type { ApiClient } from '../client/types.ts';
import { BLOB_ACCESS_VARIABLES } from '../kinds/fields/blobs.ts';
import type { KubeObject } from '../kube/object.ts';
import { WELL_KNOWN } from '../kube/well-known.ts';

/** Its name; pods' specs know no more than that. */
export const BLOB_SECRET = 'athanor-blobs';
const FIELD_MANAGER = 'athanor';

export interface BlobSecretOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly access: BlobAccess;
  readonly report: (error: unknown) => void;
}

/** Applies it to what is there and to what comes; a pod that is quicker waits for it. */
export function keepBlobSecret({ client, clock, access, report }: BlobSecretOptions): { close(): void } {
  const data = toData(access);
  const namespaces = createInformer<KubeObject>({ client, ref: WELL_KNOWN.Namespace, clock, report });
  namespaces.onChange(({ type, object }) => {
    if (type !== 'added' || object.metadata.deletionTimestamp !== undefined) return;
    const namespace = object.metadata.name;
    const metadata = { name: BLOB_SECRET, namespace };
    const body = { apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque', data };
    const patch = {
      name: BLOB_SECRET,
      namespace,
      type: 'apply',
      body,
      fieldManager: FIELD_MANAGER,
      force: true,
    } as const;
    client.patch(WELL_KNOWN.Secret, patch).catch(report);
  });
  return { close: () => namespaces.close() };
}

function toData(access: BlobAccess): Readonly<Record<string, string>> {
  const values = {
    [BLOB_ACCESS_VARIABLES.AWS_ACCESS_KEY_ID]: access.accessKeyId,
    [BLOB_ACCESS_VARIABLES.AWS_SECRET_ACCESS_KEY]: access.secretAccessKey,
    ...(access.sessionToken !== undefined && { [BLOB_ACCESS_VARIABLES.AWS_SESSION_TOKEN]: access.sessionToken }),
  };
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
}
