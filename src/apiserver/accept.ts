/** In which form a client wants its answer: plain objects, a Table, or metadata only. */
import { StatusError } from '../kube/status-error.ts';

export type Form = 'object' | 'table' | 'metadata';

/** The first form of the Accept header that this server can give. @throws NotAcceptable when there is none. */
export function chooseForm(accept: string | undefined): Form {
  if (accept === undefined || accept === '') return 'object';
  for (const part of accept.split(',').map((text) => text.trim())) {
    const [type = '', ...parameters] = part.split(';').map((text) => text.trim());
    if (!['application/json', '*/*', 'application/*'].includes(type)) continue;
    const as = parameters.find((parameter) => parameter.startsWith('as='))?.slice(3);
    const version = parameters.find((parameter) => parameter.startsWith('v='))?.slice(2) ?? 'v1';
    if (as === undefined) return 'object';
    if (version !== 'v1') continue;
    if (as === 'Table') return 'table';
    if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') return 'metadata';
  }
  throw new StatusError('NotAcceptable', `cannot answer in any of '${accept}': this server gives application/json`);
}
