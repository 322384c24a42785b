/** Where an S3-compatible store is, and who asks it. Reads one URL; opens nothing. */
import { StatusError } from '../kube/status-error.ts';

/** Who asks the store; read by the command line, never by this room. */
export interface BlobAccess {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of credentials that end. */
  readonly sessionToken?: string | undefined;
}

/** What `s3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=eu-central-1&pathStyle=true` says. */
export interface S3Location {
  readonly bucket: string;
  /** Empty, or ends in a slash. */
  readonly prefix: string;
  /** Undefined: AWS's own of the region. */
  readonly endpoint: string | undefined;
  readonly region: string;
  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`; default when there is an endpoint. */
  readonly pathStyle: boolean;
}

const REGION_DEFAULT = 'us-east-1';
const PARAMETERS: ReadonlySet<string> = new Set(['endpoint', 'region', 'pathStyle']);
const FORM = 's3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=us-east-1&pathStyle=true';

/** @throws BadRequest that says what is wrong; never repeats a password. */
export function parseS3Url(url: URL): S3Location {
  const { hostname: bucket, searchParams, username, password } = url;
  if (username !== '' || password !== '')
    throw refuse(bucket, 'credentials do not belong into its URL, use AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY');
  if (bucket === '') throw refuse(bucket, `it names no bucket, use ${FORM}`);
  const unknown = [...searchParams.keys()].find((name) => !PARAMETERS.has(name));
  if (unknown !== undefined) throw refuse(bucket, `it has no parameter ${unknown}, use ${FORM}`);
  const endpoint = searchParams.get('endpoint') ?? undefined;
  if (endpoint !== undefined && !/^https?:$/.test(URL.canParse(endpoint) ? new URL(endpoint).protocol : ''))
    throw refuse(bucket, `its endpoint '${endpoint}' is no http or https URL, use ${FORM}`);
  const style = searchParams.get('pathStyle') ?? String(endpoint !== undefined);
  if (style !== 'true' && style !== 'false') throw refuse(bucket, `pathStyle is '${style}', use true or false`);
  const path = decodeURIComponent(url.pathname).replaceAll(/^\/+|\/+$/g, '');
  return {
    bucket,
    prefix: path === '' ? '' : `${path}/`,
    endpoint,
    region: searchParams.get('region') ?? REGION_DEFAULT,
    pathStyle: style === 'true',
  };
}

function refuse(bucket: string, why: string): StatusError {
  return new StatusError('BadRequest', `cannot open the blob store s3://${bucket}: ${why}`);
}
