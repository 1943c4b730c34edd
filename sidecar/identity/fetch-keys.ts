/**
 * Owns the fetching of an issuer's keys: from standard input, as `KeysRequest`, to standard output, as `KeysAnswer`. Runs apart.
 * Invariants: what is fetched is bounded in time and size, and no redirect is followed; keys are taken only where metadata that names exactly
 * this issuer says (RFC 8414 3.3).
 */
import { text } from 'node:stream/consumers';
import { allowInsecureRequests, customFetch, discovery, type ServerMetadata } from 'openid-client';
import { type BoundedFetch, createBoundedFetch, FetchFailure, nameUrl } from '../bounded-fetch.ts';

export interface KeysRequest {
  issuer: string;
  /** PEM of authorities beside those that are built in; null: none. */
  ca: string | null;
}

export type KeysAnswer =
  | { ok: true; keys: Record<string, unknown>[] }
  /** The problem names no more of an answer than the issuer in it. */
  | { ok: false; problem: string };

/** For all answers together. */
const TIMEOUT_MS = 5_000;
const MAX_BYTES = 256 * 1024;
const MAX_SHOWN = 200;
/** Kinds of keys that signatures can be checked with (RFC 7518 6.1, RFC 8037). A symmetric one would be a secret made public. */
const KINDS = new Set(['RSA', 'EC', 'OKP']);

/** There is no such document, so that there may be one at another address. */
class Absent extends FetchFailure {}

async function fetchKeys({ issuer, ca }: KeysRequest): Promise<KeysAnswer> {
  const bounded = createBoundedFetch({ ca, timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES });
  const found: BoundedFetch = async (url, options) => {
    const response = await bounded(url, options);
    const { status } = response;
    if (status === 200) return response;
    const Failure = status >= 400 && status < 500 ? Absent : FetchFailure;
    throw new Failure(`${nameUrl(url)} answered with status ${status}`);
  };
  const metadata = await discover(new URL(issuer), found);
  if (metadata.issuer !== issuer) {
    const shown = JSON.stringify(metadata.issuer.slice(0, MAX_SHOWN));
    throw new FetchFailure(`its metadata is of another issuer, ${shown}`);
  }
  const { jwks_uri: address } = metadata;
  if (typeof address !== 'string' || !URL.canParse(address)) {
    throw new FetchFailure('its metadata has no jwks_uri');
  }
  if (issuer.startsWith('https:') && !address.startsWith('https:')) {
    throw new FetchFailure(`its jwks_uri ${nameUrl(address)} is not https`);
  }
  const response = await found(address, { method: 'GET', headers: { Accept: 'application/json' } });
  const set = (await response.json().catch(() => null)) as { keys?: unknown } | null;
  if (!Array.isArray(set?.keys)) throw new FetchFailure(`${nameUrl(address)} holds no JWK Set (RFC 7517 5)`);
  return { ok: true, keys: set.keys.filter(isVerifying) };
}

/** By OpenID Connect Discovery, or where there is no such document, by RFC 8414. */
async function discover(issuer: URL, found: BoundedFetch): Promise<Readonly<ServerMetadata>> {
  const options = {
    [customFetch]: found,
    timeout: TIMEOUT_MS / 1000,
    // What is not https has to be on this machine: `found` takes nothing else.
    execute: [allowInsecureRequests],
  };
  const configuration = await discovery(issuer, 'mcp-recorder', undefined, undefined, options).catch(
    (error: unknown) => {
      if (!(failureIn(error) instanceof Absent)) throw error;
      return discovery(issuer, 'mcp-recorder', undefined, undefined, { ...options, algorithm: 'oauth2' });
    },
  );
  return configuration.serverMetadata();
}

/** Only what a signature can be checked with: a private key that was published is of no use to the recorder. */
function isVerifying(key: unknown): key is Record<string, unknown> {
  if (typeof key !== 'object' || key === null) return false;
  const { kty, use, d } = key as Record<string, unknown>;
  return KINDS.has(kty as string) && (use === undefined || use === 'sig') && d === undefined;
}

function failureIn(error: unknown): FetchFailure | null {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof FetchFailure) return at;
  return null;
}

async function answer(): Promise<KeysAnswer> {
  const request = JSON.parse(await text(process.stdin)) as KeysRequest;
  try {
    return await fetchKeys(request);
  } catch (error) {
    const problem = failureIn(error)?.message ?? `its metadata can't be used: ${(error as Error).message}`;
    return { ok: false, problem };
  }
}

const written = JSON.stringify(await answer());
// A connection that the issuer keeps open would keep the process.
process.stdout.write(written, () => process.exit());
