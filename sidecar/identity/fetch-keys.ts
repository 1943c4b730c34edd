/**
 * Owns the fetching of an issuer's keys: from standard input, as `KeysRequest`, to standard output, as `KeysAnswer`. Runs apart.
 * Invariants: an answer is at most MAX_BYTES and ANSWER_MS long; no redirect is followed; keys are taken only where metadata that names
 * exactly this issuer says (RFC 8414 3.3), over TLS unless both are on this machine.
 */
import { text } from 'node:stream/consumers';
import tls from 'node:tls';
import { allowInsecureRequests, customFetch, discovery, type ServerMetadata } from 'openid-client';

export interface KeysRequest {
  issuer: string;
  /** PEM of authorities beside those that are built in; null: none. */
  ca: string | null;
}

export type KeysAnswer =
  | { ok: true; keys: Record<string, unknown>[] }
  /** The problem names no more of an answer than the issuer in it. */
  | { ok: false; problem: string };

const ANSWER_MS = 5_000;
/** All answers together. */
const ALL_MS = 10_000;
const MAX_BYTES = 256 * 1024;
const MAX_SHOWN = 200;
/** Kinds of keys that signatures can be checked with (RFC 7518 6.1, RFC 8037). A symmetric one would be a secret made public. */
const KINDS = new Set(['RSA', 'EC', 'OKP']);

class FetchProblem extends Error {
  /** Whether the address has no such document, so that there may be one at another. */
  readonly isAbsent: boolean;

  constructor(message: string, isAbsent = false) {
    super(message);
    this.isAbsent = isAbsent;
  }
}

const overall = AbortSignal.timeout(ALL_MS);

async function fetchKeys({ issuer, ca }: KeysRequest): Promise<KeysAnswer> {
  if (ca !== null) tls.setDefaultCACertificates([...tls.getCACertificates('default'), ca]);
  const metadata = await discover(new URL(issuer));
  if (metadata.issuer !== issuer) {
    const shown = JSON.stringify(metadata.issuer.slice(0, MAX_SHOWN));
    throw new FetchProblem(`its metadata is of another issuer, ${shown}`);
  }
  const address = keysAddress(issuer, metadata);
  const keys = ((await (await fetchBounded(address)).json().catch(() => null)) as { keys?: unknown } | null)
    ?.keys;
  if (!Array.isArray(keys)) throw new FetchProblem(`${address} holds no JWK Set (RFC 7517 5)`);
  return { ok: true, keys: keys.filter(isVerifying) };
}

/** By OpenID Connect Discovery, or where there is no such document, by RFC 8414. */
async function discover(issuer: URL): Promise<Readonly<ServerMetadata>> {
  const options = {
    [customFetch]: fetchBounded,
    timeout: ANSWER_MS / 1000,
    execute: isLoopback(issuer) ? [allowInsecureRequests] : [],
  };
  const found = await discovery(issuer, 'mcp-recorder', undefined, undefined, options).catch((error) => {
    if (problemIn(error)?.isAbsent !== true) throw error;
    return discovery(issuer, 'mcp-recorder', undefined, undefined, { ...options, algorithm: 'oauth2' });
  });
  return found.serverMetadata();
}

function keysAddress(issuer: string, { jwks_uri }: Readonly<ServerMetadata>): string {
  if (typeof jwks_uri !== 'string' || !URL.canParse(jwks_uri)) {
    throw new FetchProblem('its metadata has no jwks_uri');
  }
  const url = new URL(jwks_uri);
  if (url.protocol !== 'https:' && !(isLoopback(url) && isLoopback(new URL(issuer)))) {
    throw new FetchProblem('its jwks_uri is not https');
  }
  return url.href;
}

/** Plain HTTP on this machine. */
function isLoopback({ protocol, hostname }: URL): boolean {
  return protocol === 'http:' && /^(127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(hostname);
}

/** Only what a signature can be checked with: a private key that was published is of no use to the recorder. */
function isVerifying(key: unknown): key is Record<string, unknown> {
  if (typeof key !== 'object' || key === null) return false;
  const { kty, use, d } = key as Record<string, unknown>;
  return KINDS.has(kty as string) && (use === undefined || use === 'sig') && d === undefined;
}

/** @throws FetchProblem for every answer that is not 200, whole, in time and of bounded length */
async function fetchBounded(address: string): Promise<Response> {
  const late = AbortSignal.timeout(ANSWER_MS);
  try {
    const headers = { Accept: 'application/json' };
    const signal = AbortSignal.any([late, overall]);
    const response = await fetch(address, { redirect: 'manual', headers, signal });
    const { status } = response;
    if (status !== 200) {
      await response.body?.cancel();
      const meaning = status >= 300 && status < 400 ? ', and redirects are not followed' : '';
      throw new FetchProblem(`${address} answered ${status}${meaning}`, status >= 400 && status < 500);
    }
    return new Response(await bodyOf(response, address), { headers: { 'Content-Type': 'application/json' } });
  } catch (error) {
    if (late.aborted || overall.aborted) {
      throw new FetchProblem(`${address} did not answer within ${ANSWER_MS / 1000} s`);
    }
    if (error instanceof FetchProblem) throw error;
    throw new FetchProblem(`${address} can't be fetched: ${reasonOf(error)}`);
  }
}

async function bodyOf(response: Response, address: string): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of response.body ?? []) {
    bytes += piece.length;
    // Leaving the loop breaks the answer off.
    if (bytes > MAX_BYTES) throw new FetchProblem(`${address} holds more than ${MAX_BYTES / 1024} KiB`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** What the system says: `fetch` itself only says that it failed. */
function reasonOf(error: unknown): string {
  const { cause, message } = error as Error;
  if (!(cause instanceof Error)) return message;
  return cause.message || String((cause as NodeJS.ErrnoException).code);
}

function problemIn(error: unknown): FetchProblem | null {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof FetchProblem) return at;
  return null;
}

async function answer(): Promise<KeysAnswer> {
  const request = JSON.parse(await text(process.stdin)) as KeysRequest;
  try {
    return await fetchKeys(request);
  } catch (error) {
    const problem = problemIn(error)?.message ?? `its metadata can't be used: ${(error as Error).message}`;
    return { ok: false, problem };
  }
}

const written = JSON.stringify(await answer());
// A connection that the issuer keeps open would keep the process.
process.stdout.write(written, () => process.exit());
