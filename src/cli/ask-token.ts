/** How every door of the platform asks who bears a token, and what they may: the API server's own reviews. */
import type { ApiClient } from '../client/types.ts';
import { StatusError } from '../kube/status-error.ts';

interface TokenReview {
  readonly status?: {
    readonly authenticated?: boolean;
    readonly user?: { readonly username?: string; readonly groups?: readonly string[] };
  };
}

interface SubjectAccessReview {
  readonly status?: { readonly allowed?: boolean };
}

/** Whose token it is. */
export interface Identity {
  readonly user: string;
  readonly groups: readonly string[];
}

/** May they `verb` the runs and models of the namespace? */
export interface AccessQuestion {
  readonly user: string;
  readonly groups?: readonly string[];
  readonly namespace: string;
  readonly verb: string;
}

/** @throws Unauthorized from the function it returns, when the token is nobody's. */
export function askTokenReview(client: ApiClient): (request: { readonly bearerToken: string }) => Promise<Identity> {
  return async ({ bearerToken }) => {
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token: bearerToken } };
    const { status } = await client.request<TokenReview>('POST', '/apis/authentication.k8s.io/v1/tokenreviews', body);
    const { username: user, groups = [] } = status?.user ?? {};
    if (status?.authenticated === true && user !== undefined) return { user, groups };
    throw new StatusError('Unauthorized', 'cannot let you in: the token is not known here, or has ended');
  };
}

/** Asks the cluster's rules for `runs.athanor.dev`, the name under which roles speak of tracking. */
export function askAccessReview(client: ApiClient): (question: AccessQuestion) => Promise<boolean> {
  return async ({ user, groups = [], namespace, verb }) => {
    const resourceAttributes = { group: 'athanor.dev', resource: 'runs', namespace, verb };
    const body = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: { user, groups, resourceAttributes },
    };
    const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
    return (await client.request<SubjectAccessReview>('POST', path, body)).status?.allowed === true;
  };
}
