/**
 * Writing only where nothing is. Knows whether the store keeps such a condition itself (`If-None-Match: *`), as AWS and
 * most others do. Where it does not, the name is looked up first: two writers at one moment may then both succeed, and
 * the later file stays. For content, whose name is its digest, both are the same.
 */
import { StatusError } from '../kube/status-error.ts';
import type { S3Bucket } from './s3-bucket.ts';
import { statusOf } from './s3-error.ts';
import { TEMPORARY_FOLDER } from './temporary-files.ts';

/** Stays, so that the next one who asks needs one request. */
const PROBE = `${TEMPORARY_FOLDER}/conditional-write`;

/** Asks the store once, when the answer is first needed. */
export class ConditionalWrites {
  readonly #s3: S3Bucket;
  #isKept: Promise<boolean> | undefined;

  constructor(s3: S3Bucket) {
    this.#s3 = s3;
  }

  /**
   * What to add to the request that writes `key`. Of a large file the name is looked up in any case, before its bytes
   * are moved and for stores that know the condition for small ones only.
   * @throws AlreadyExists when it is known already to be taken
   */
  async of(key: string, { isLarge = false } = {}): Promise<{ readonly IfNoneMatch?: '*' }> {
    this.#isKept ??= this.#probe();
    const isKept = await this.#isKept;
    if (!isKept || isLarge) await this.#refuseTaken(key);
    return isKept ? { IfNoneMatch: '*' } : {};
  }

  async #refuseTaken(key: string): Promise<void> {
    const { client, sdk } = this.#s3;
    const isTaken = await client.send(new sdk.HeadObjectCommand(this.#s3.at(key))).then(
      () => true,
      (error: unknown) => {
        if (statusOf(error) === 404) return false;
        throw error;
      },
    );
    if (!isTaken) return;
    throw new StatusError('AlreadyExists', `cannot write ${key}: that name is taken, choose another`);
  }

  /** The second of two such writes must be refused. */
  async #probe(): Promise<boolean> {
    for (let tries = 0; tries < 2; tries++) {
      const status = await this.#writeProbe();
      if (status === 412) return true;
      if (status !== 200) return false;
    }
    return false;
  }

  async #writeProbe(): Promise<number> {
    const { client, sdk } = this.#s3;
    const request = { ...this.#s3.at(PROBE), Body: 'athanor', IfNoneMatch: '*' };
    return client.send(new sdk.PutObjectCommand(request)).then(
      () => 200,
      (error: unknown) => {
        const status = statusOf(error);
        // 409: another one asks at this moment, which only a store that keeps the condition notices.
        if (status === 409) return 412;
        if (status === 412 || status === 400 || status === 501) return status;
        throw error;
      },
    );
  }
}
