/**
 * Who bears a token: the owner of the cluster, or a service account. Tokens of service accounts are JWTs signed with
 * the cluster's key (RFC 7519).
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { type CryptoKey, jwtVerify, SignJWT } from 'jose';
import type { Clock } from '../base/clock.ts';
import { isJsonObject } from '../base/json.ts';
import { StatusError } from '../kube/status-error.ts';
import type { Store } from './store.ts';

export interface User {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
}

/** Who signs the tokens of service accounts. */
export const ISSUER = 'https://kubernetes.default.svc';
const ALGORITHM = 'ES256';
const SECONDS_MAX = 365 * 24 * 3600;

export interface TokenOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly ownerToken: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
}

export interface TokenSubject {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly serviceAccountUid: string;
  readonly pod?: { readonly name: string; readonly uid: string };
  readonly expirationSeconds: number;
  readonly audiences: readonly string[];
}

/** Issues tokens, and tells who bears one. */
export class Tokens {
  readonly #options: TokenOptions;

  constructor(options: TokenOptions) {
    this.#options = options;
  }

  /** A signed token and when it ends. */
  async issue(subject: TokenSubject): Promise<{ readonly token: string; readonly expiresAtMs: number }> {
    const { namespace, serviceAccount, serviceAccountUid, pod, audiences } = subject;
    const nowSeconds = Math.floor(this.#options.clock.nowMs() / 1000);
    const endSeconds = nowSeconds + Math.min(subject.expirationSeconds, SECONDS_MAX);
    const bound = { namespace, serviceaccount: { name: serviceAccount, uid: serviceAccountUid }, ...(pod && { pod }) };
    const token = await new SignJWT({ 'kubernetes.io': bound })
      .setProtectedHeader({ alg: ALGORITHM })
      .setIssuer(ISSUER)
      .setAudience([...(audiences.length > 0 ? audiences : [ISSUER])])
      .setSubject(`system:serviceaccount:${namespace}:${serviceAccount}`)
      .setIssuedAt(nowSeconds)
      .setNotBefore(nowSeconds)
      .setExpirationTime(endSeconds)
      .sign(this.#options.privateKey);
    return { token, expiresAtMs: endSeconds * 1000 };
  }

  /**
   * Who bears the token, when it was made for one of `audiences`. @throws Unauthorized when it is nobody's or for
   * others, has ended, or its account or pod is gone.
   */
  async identify(token: string, audiences: readonly string[] = [ISSUER]): Promise<User> {
    if (isSameSecret(token, this.#options.ownerToken)) {
      return { name: 'owner', groups: ['system:masters', 'system:authenticated'] };
    }
    const claims = await this.#verify(token, audiences);
    const bound = claims['kubernetes.io'];
    const account = isJsonObject(bound) ? bound['serviceaccount'] : undefined;
    if (!isJsonObject(bound) || !isJsonObject(account)) throw unauthorized();
    const namespace = String(bound['namespace']);
    const name = String(account['name']);
    this.#checkAlive({ resource: 'serviceaccounts', namespace, name }, account['uid']);
    const { pod } = bound;
    if (isJsonObject(pod)) this.#checkAlive({ resource: 'pods', namespace, name: String(pod['name']) }, pod['uid']);
    const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'];
    return { name: `system:serviceaccount:${namespace}:${name}`, uid: String(account['uid']), groups };
  }

  async #verify(token: string, audiences: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
    try {
      const currentDate = new Date(this.#options.clock.nowMs());
      const { payload } = await jwtVerify(token, this.#options.publicKey, {
        issuer: ISSUER,
        audience: [...audiences],
        algorithms: [ALGORITHM],
        currentDate,
      });
      return payload;
    } catch (cause) {
      throw unauthorized(cause);
    }
  }

  #checkAlive(address: { resource: string; namespace: string; name: string }, uid: unknown): void {
    if (this.#options.store.get(address)?.metadata.uid !== uid) throw unauthorized();
  }
}

function isSameSecret(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

function unauthorized(cause?: unknown): StatusError {
  return new StatusError('Unauthorized', 'Unauthorized', { cause });
}
