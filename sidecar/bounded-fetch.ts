/**
 * Owns requests to identity providers, for processes that end (sidecar/apart.ts): `fetch` would stay in the memory of a recorder.
 * Invariant: https, or http to this machine; no redirect is followed; all requests together are bounded in time, each answer in size; what
 * failed is said without anything of the request or of the answer.
 */
import { isIP } from 'node:net';
import tls from 'node:tls';
import { readAuthorities } from './config/authorities.ts';

export interface FetchBounds {
  /** PEM of authorities that a certificate may be of, beside those that Node knows; null: none. */
  ca: string | null;
  /** For all requests together, answers included (ms). */
  timeoutMs: number;
  /** Of one answer, decoded (bytes). */
  maxBytes: number;
}

export interface FetchOptions {
  method: string;
  headers: Record<string, string>;
  body?: RequestInit['body'] | undefined;
}

/** @throws FetchFailure when there is no answer, or none that may be read */
export type BoundedFetch = (url: string, options: FetchOptions) => Promise<Response>;

/** Why there is no answer. The message can be shown. */
export class FetchFailure extends Error {
  override readonly name = 'FetchFailure';
}

/** What an address is called in messages: its query may hold anything. */
export function nameUrl(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

/** Whether nobody on the way can read or change what goes to this address. */
function isGuarded({ protocol, hostname }: URL): boolean {
  if (protocol === 'https:') return true;
  const loopback =
    hostname === 'localhost' || hostname === '[::1]' || (isIP(hostname) === 4 && hostname.startsWith('127.'));
  return protocol === 'http:' && loopback;
}

/** A `fetch` within these bounds; the time starts now. The authorities are set for the whole process. */
export function createBoundedFetch({ ca, timeoutMs, maxBytes }: FetchBounds): BoundedFetch {
  if (ca !== null) {
    const given = readAuthorities(ca).map(String);
    tls.setDefaultCACertificates([...tls.getCACertificates('default'), ...given]);
  }
  const signal = AbortSignal.timeout(timeoutMs);

  return async (url, { method, headers, body = null }) => {
    const target = new URL(url);
    const name = nameUrl(url);
    if (!isGuarded(target)) throw new FetchFailure(`${name} is neither https nor http on this machine`);
    try {
      const response = await fetch(target, { method, headers, body, redirect: 'manual', signal });
      const { status } = response;
      if (status >= 300 && status < 400) {
        throw new FetchFailure(`${name} redirects (status ${status}), which is not followed`);
      }
      const content = await readBounded(response, maxBytes, name);
      return new Response(content.length === 0 ? null : content, { status, headers: response.headers });
    } catch (error) {
      if (error instanceof FetchFailure) throw error;
      if (signal.aborted) throw new FetchFailure(`${name} did not answer within ${timeoutMs / 1_000} s`);
      throw new FetchFailure(`${name} could not be reached (${codeOf(error)})`);
    }
  };
}

async function readBounded(
  response: Response,
  maxBytes: number,
  name: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.length;
    if (bytes > maxBytes) throw new FetchFailure(`${name} answered with more than ${maxBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** The code of what went wrong below HTTP: messages of such errors may quote what was received. */
function codeOf(error: unknown): string {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (typeof code === 'string' && /^[A-Z][A-Z0-9_]{1,63}$/.test(code)) return code;
  }
  return 'no reason was given';
}
