/**
 * Owns the asking for an access token by client credentials (RFC 6749, 4.4): `TokenRequest` on standard input, `TokenAnswer` on standard
 * output. Runs apart.
 * Invariant: the client's secret comes by standard input alone, and nothing of it, of the token or of the provider's words is in a problem.
 */
import { text } from 'node:stream/consumers';
import {
  allowInsecureRequests,
  type ClientAuth,
  ClientError,
  clientCredentialsGrant,
  ClientSecretBasic,
  ClientSecretPost,
  Configuration,
  customFetch,
  discovery,
  type ServerMetadata,
} from 'openid-client';
import { type BoundedFetch, createBoundedFetch, FetchFailure, nameUrl } from '../bounded-fetch.ts';

export interface TokenRequest {
  /** Exactly one of the two is null. */
  issuer: string | null;
  tokenEndpoint: string | null;
  clientId: string;
  clientSecret: string;
  scope: string | null;
  resource: string | null;
  ca: string | null;
}

export type TokenAnswer =
  /** `expiresInS`: null when the provider does not say. */
  | { ok: true; token: string; expiresInS: number | null }
  /** `clientRefused`: the provider does not know the client, or its secret is another. */
  | { ok: false; problem: string; clientRefused: boolean };

const TIMEOUT_MS = 10_000;
const MOST_BYTES = 256 * 1024;
/** As `sidecar/credential/secret-files.ts` takes it from a file. */
const TOKEN = /^[\x21-\x7e]{1,16384}$/;

/** The library's code for metadata whose issuer is not the one that was asked. */
const ANOTHER_ISSUER = 'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED';

/** Errors of RFC 6749 5.2 and RFC 8707 2: others are not repeated, as they are the provider's words. */
const ERRORS = new Set([
  'invalid_request',
  'invalid_client',
  'invalid_grant',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_scope',
  'invalid_target',
]);

type Server = ServerMetadata & { token_endpoint: string };

/** What a provider answered last, for the words about it. */
interface Last {
  url: string;
  status: number;
  /** Of `ERRORS`; null: none of them. */
  error: string | null;
}

async function fetchToken(request: TokenRequest): Promise<TokenAnswer> {
  let last: Last | null = null;
  const bounded = createBoundedFetch({ ca: request.ca, timeoutMs: TIMEOUT_MS, maxBytes: MOST_BYTES });
  const watched: BoundedFetch = async (url, options) => {
    last = null;
    const response = await bounded(url, options);
    last = { url: nameUrl(url), status: response.status, error: await errorOf(response.clone()) };
    return response;
  };
  const refused = (): boolean => last !== null && (last.status === 401 || last.error === 'invalid_client');
  try {
    const found = await findServer(request, watched);
    const { token_endpoint } = found;
    if (token_endpoint === undefined) return failed(`${found.issuer} has no token endpoint`);
    const server: Server = { ...found, token_endpoint };
    const methods = server.token_endpoint_auth_methods_supported;
    // RFC 8414, 2: without the list it is client_secret_basic. Which of two the client was registered with, only a try tells.
    const ways = [ClientSecretBasic, ClientSecretPost].filter(
      (_, index) => methods?.includes(index === 0 ? 'client_secret_basic' : 'client_secret_post') ?? true,
    );
    if (ways.length === 0) return failed(`${server.issuer} takes no client secrets`);
    for (const [index, way] of ways.entries()) {
      try {
        return await grant(request, server, way(request.clientSecret), watched);
      } catch (error) {
        if (!refused() || index === ways.length - 1) throw error;
      }
    }
    throw new Error('unreachable');
  } catch (error) {
    return { ...failed(describe(error, last)), clientRefused: refused() };
  }
}

/** The provider's metadata: OpenID Connect's, or where there is none RFC 8414's. */
async function findServer(request: TokenRequest, watched: BoundedFetch): Promise<ServerMetadata> {
  const { issuer, tokenEndpoint, clientId } = request;
  if (tokenEndpoint !== null) return { issuer: tokenEndpoint, token_endpoint: tokenEndpoint };
  let status = 200;
  const noticing: BoundedFetch = async (url, options) => {
    const response = await watched(url, options);
    status = response.status;
    return response;
  };
  const find = async (algorithm: 'oidc' | 'oauth2'): Promise<ServerMetadata> => {
    const found = await discovery(new URL(issuer ?? ''), clientId, undefined, undefined, {
      algorithm,
      [customFetch]: noticing,
      execute: [allowInsecureRequests],
    });
    return found.serverMetadata();
  };
  try {
    return await find('oidc');
  } catch (error) {
    if (status < 400 || status >= 500) throw error;
    return await find('oauth2');
  }
}

async function grant(
  { clientId, scope, resource }: TokenRequest,
  server: Server,
  authentication: ClientAuth,
  watched: BoundedFetch,
): Promise<TokenAnswer> {
  const client = new Configuration(server, clientId, undefined, authentication);
  client[customFetch] = watched;
  // Where it may go is looked at by the fetch.
  allowInsecureRequests(client);
  const granted = await clientCredentialsGrant(client, {
    ...(scope === null ? {} : { scope }),
    ...(resource === null ? {} : { resource }),
  });
  const where = nameUrl(server.token_endpoint);
  if (granted.token_type !== 'bearer') return failed(`${where} gave a token that is not a bearer token`);
  if (!TOKEN.test(granted.access_token)) return failed(`${where} gave a token that can't stand in a header`);
  return { ok: true, token: granted.access_token, expiresInS: granted.expires_in ?? null };
}

function failed(problem: string): TokenAnswer & { ok: false } {
  return { ok: false, problem, clientRefused: false };
}

async function errorOf(response: Response): Promise<string | null> {
  if (response.ok) return null;
  try {
    const { error } = (await response.json()) as { error?: unknown };
    return typeof error === 'string' && ERRORS.has(error) ? error : null;
  } catch {
    return null;
  }
}

/** Why it failed. Messages of the library are left out: their errors carry what was received. */
function describe(error: unknown, last: Last | null): string {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof FetchFailure) return cause.message;
  }
  if (last === null) return 'the request could not be made';
  const { url, status, error: code } = last;
  if (error instanceof ClientError && error.code === ANOTHER_ISSUER) {
    return `${url} names another issuer than the one that was asked (RFC 8414 3.3)`;
  }
  if (status === 200) return `${url} answered, but not as RFC 6749 5.1 or RFC 8414 3.2 ask for`;
  return `${url} answered with ${code === null ? '' : `${code}, `}status ${status}`;
}

const answer = await fetchToken(JSON.parse(await text(process.stdin)) as TokenRequest);
process.stdout.write(JSON.stringify(answer));
