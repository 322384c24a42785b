/** How every door of the platform asks who bears a token: the API server's TokenReview. */
import type { ApiClient } from '../client/types.ts';
import { StatusError } from '../kube/status-error.ts';

interface TokenReview {
  readonly status?: { readonly authenticated?: boolean; readonly user?: { readonly username?: string } };
}

/** @throws Unauthorized from the function it returns, when the token is nobody's. */
export function askTokenReview(
  client: ApiClient,
): (request: { readonly bearerToken: string }) => Promise<{ readonly user: string }> {
  return async ({ bearerToken }) => {
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token: bearerToken } };
    const { status } = await client.request<TokenReview>('POST', '/apis/authentication.k8s.io/v1/tokenreviews', body);
    const user = status?.user?.username;
    if (status?.authenticated === true && user !== undefined) return { user };
    throw new StatusError('Unauthorized', 'cannot let you in: the token is not known here, or has ended');
  };
}
