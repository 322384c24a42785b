/**
 * Files in a bucket of an S3-compatible store. Knows how to make one appear at once under a name that may be taken;
 * nothing of what it holds. S3 has no folders: that no file lies below another is looked up, not guaranteed.
 */
import { randomUUID } from 'node:crypto';
import { ignoreNotFound, isStatusError, StatusError } from '../kube/status-error.ts';
import { checkKey, findKeyProblem } from './blob-key.ts';
import type {
  BlobStat,
  BlobStore,
  ByteRange,
  ByteSource,
  DirectAccess,
  KeyChoice,
  ListOptions,
  OpenBlob,
  PutOptions,
  PutResult,
} from './blob-store.ts';
import { openBucket, type S3Bucket } from './s3-bucket.ts';
import { ConditionalWrites } from './s3-condition.ts';
import { createDirectAccess } from './s3-direct.ts';
import type { BlobAccess, S3Location } from './s3-location.ts';
import { readObject } from './s3-read.ts';
import { copyParts, Meter, PART_BYTES, sendParts, splitParts, uploadInParts } from './s3-upload.ts';
import { isTemporary, TEMPORARY_FOLDER } from './temporary-files.ts';

const LIST_DEFAULT = 1_000;
const LIST_PAGE = 1_000;
/** Folders known to be none of the files; beyond these they are looked up again. */
const FOLDERS_KNOWN_MAX = 10_000;

/** Opens the store; the bucket must be there. @throws as openBucket does */
export async function openS3Store(location: S3Location, access?: BlobAccess): Promise<BlobStore> {
  return new S3Store(await openBucket(location, access));
}

interface Placement {
  readonly key: string;
  readonly ifAbsent: boolean;
}

class S3Store implements BlobStore {
  readonly direct: DirectAccess;
  readonly #s3: S3Bucket;
  readonly #conditions: ConditionalWrites;
  readonly #folders = new Set<string>();

  constructor(s3: S3Bucket) {
    this.#s3 = s3;
    this.#conditions = new ConditionalWrites(s3);
    this.direct = createDirectAccess(s3, (key) => this.#checkPlace(key));
  }

  async put(choice: KeyChoice, source: ByteSource, options: PutOptions = {}): Promise<PutResult> {
    const { ifAbsent = false } = options;
    const name = typeof choice === 'string' ? choice : 'a new file';
    if (typeof choice === 'string') await this.#checkPlace(choice);
    const meter = new Meter();
    const parts = splitParts(meter.pass(source));
    const first = await parts.next();
    // Of less than a part, one request is enough, and it is known already which name the file gets.
    if (first.done || first.value.length < PART_BYTES) {
      const written = meter.finish();
      const key = typeof choice === 'string' ? choice : choice(written);
      if (typeof choice !== 'string') await this.#checkPlace(key);
      await this.#putWhole({ key, ifAbsent }, first.value ?? Buffer.alloc(0));
      return written;
    }
    return this.#s3.ask(`write ${name}`, () =>
      this.#putLarge(choice, { ifAbsent, meter, parts: rejoin(first.value, parts) }),
    );
  }

  async open(key: string, range?: ByteRange): Promise<OpenBlob> {
    checkOwn(key);
    if (range && (range.start < 0 || (range.end ?? range.start) < range.start)) throw badRange(key, range);
    return readObject(this.#s3, key, range);
  }

  async stat(key: string): Promise<BlobStat> {
    checkOwn(key);
    const { ContentLength = 0, LastModified } = await this.#s3.ask(`read ${key}`, () =>
      this.#s3.client.send(new this.#s3.sdk.HeadObjectCommand(this.#s3.at(key))),
    );
    return { key, sizeBytes: ContentLength, modifiedMs: LastModified?.getTime() ?? 0 };
  }

  async list(prefix: string, options: ListOptions = {}): Promise<readonly BlobStat[]> {
    const { limit = LIST_DEFAULT, after = '' } = options;
    const found: BlobStat[] = [];
    if (!canBegin(prefix)) return found;
    for (let behind: string | undefined = after; behind !== undefined && found.length < limit; ) {
      const page = await this.#listPage(prefix, behind, Math.min(LIST_PAGE, limit - found.length));
      found.push(...page.items);
      behind = page.next;
    }
    return found;
  }

  async delete(key: string): Promise<void> {
    checkOwn(key);
    const { client, sdk } = this.#s3;
    await this.#s3
      .ask(`delete ${key}`, () => client.send(new sdk.DeleteObjectCommand(this.#s3.at(key))))
      .catch(ignoreNotFound);
  }

  async #listPage(
    prefix: string,
    after: string,
    limit: number,
  ): Promise<{ readonly items: readonly BlobStat[]; readonly next: string | undefined }> {
    const { client, sdk, location } = this.#s3;
    const { Contents = [], IsTruncated } = await this.#s3.ask(`list ${prefix}`, () =>
      client.send(
        new sdk.ListObjectsV2Command({
          Bucket: location.bucket,
          Prefix: `${location.prefix}${prefix}`,
          MaxKeys: limit,
          // Keys may hold what XML cannot say.
          EncodingType: 'url',
          ...(after !== '' && { StartAfter: `${location.prefix}${after}` }),
        }),
      ),
    );
    const all = Contents.map(({ Key = '', Size = 0, LastModified }) => ({
      key: decodeURIComponent(Key.replaceAll('+', ' ')).slice(location.prefix.length),
      sizeBytes: Size,
      modifiedMs: LastModified?.getTime() ?? 0,
    }));
    // Other programs' marks of folders, and files on their way, are none of ours.
    const items = all.filter(({ key }) => findKeyProblem(key) === undefined && !isTemporary(key));
    return { items, next: IsTruncated === true ? all.at(-1)?.key : undefined };
  }

  async #putWhole({ key, ifAbsent }: Placement, Body: Buffer): Promise<void> {
    const { client, sdk } = this.#s3;
    await this.#s3.ask(`write ${key}`, async () => {
      const condition = ifAbsent ? await this.#conditions.of(key) : {};
      await client.send(
        new sdk.PutObjectCommand({ ...this.#s3.at(key), Body, ContentLength: Body.length, ...condition }),
      );
    });
  }

  /** A file whose name is made of its bytes waits under another until they are all there. */
  async #putLarge(choice: KeyChoice, { ifAbsent, meter, parts }: LargePut): Promise<PutResult> {
    if (typeof choice === 'string') {
      await this.#uploadTo({ key: choice, ifAbsent }, (upload) => sendParts(this.#s3, upload, parts));
      return meter.finish();
    }
    const waiting = `${TEMPORARY_FOLDER}/${randomUUID()}`;
    const fill = (upload: Parameters<typeof sendParts>[1]) => sendParts(this.#s3, upload, parts);
    await uploadInParts(this.#s3, waiting, { isConditional: false, fill });
    try {
      const written = meter.finish();
      const key = choice(written);
      await this.#checkPlace(key);
      const from = { key: waiting, sizeBytes: written.sizeBytes };
      await this.#uploadTo({ key, ifAbsent }, (upload) => copyParts(this.#s3, upload, from));
      return written;
    } finally {
      await this.#s3.client.send(new this.#s3.sdk.DeleteObjectCommand(this.#s3.at(waiting)));
    }
  }

  async #uploadTo({ key, ifAbsent }: Placement, fill: Parameters<typeof uploadInParts>[2]['fill']): Promise<void> {
    const condition = ifAbsent ? await this.#conditions.of(key, { isLarge: true }) : {};
    await uploadInParts(this.#s3, key, { isConditional: 'IfNoneMatch' in condition, fill });
  }

  /** @throws Invalid, AlreadyExists when a folder of the key is a file. */
  async #checkPlace(key: string): Promise<void> {
    checkOwn(key);
    const segments = key.split('/').slice(0, -1);
    const folders = segments.map((_, index) => segments.slice(0, index + 1).join('/'));
    const unknown = folders.filter((folder) => !this.#folders.has(folder));
    const taken = await Promise.all(unknown.map((folder) => this.#isFile(folder)));
    if (taken.includes(true)) {
      throw new StatusError('AlreadyExists', `cannot write ${key}: a folder of it is a file, choose another name`);
    }
    if (this.#folders.size > FOLDERS_KNOWN_MAX) this.#folders.clear();
    for (const folder of folders) this.#folders.add(folder);
  }

  async #isFile(key: string): Promise<boolean> {
    return this.stat(key).then(
      () => true,
      (error: unknown) => {
        if (isStatusError(error, 'NotFound')) return false;
        throw error;
      },
    );
  }
}

interface LargePut {
  readonly ifAbsent: boolean;
  readonly meter: Meter;
  readonly parts: AsyncIterable<Buffer<ArrayBuffer>>;
}

async function* rejoin<T>(first: T, rest: AsyncIterable<T>): AsyncGenerator<T> {
  yield first;
  yield* rest;
}

function checkOwn(key: string): void {
  checkKey(key);
  if (isTemporary(key)) throw new StatusError('Invalid', `cannot use the key ${key}: it is reserved`);
}

/** False for a prefix that no key can have, which some stores refuse to look for. */
function canBegin(prefix: string): boolean {
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  return folder === '' || findKeyProblem(folder.slice(0, -1)) === undefined;
}

function badRange(key: string, { start, end }: ByteRange): StatusError {
  return new StatusError('Invalid', `cannot read bytes ${start}-${end ?? ''} of ${key}: they are no range`);
}
