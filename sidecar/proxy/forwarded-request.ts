/**
 * Owns what of a request goes to the server: all of it, but for what masking on the wire, the caller's token and the server's own
 * credential change.
 * Invariant: where nothing of that is asked for, body and end-to-end headers go as they came; a caller's token that is to be removed, or a
 * header that the credential sets, never goes.
 */
import type { IncomingMessage } from 'node:http';
import type { Masked } from '@mcp-recorder/recording/format/line';
import { endToEndHeaders } from '../exchange/headers.ts';
import { type Message, scanMessages } from '../exchange/json-scan.ts';
import { maskBody } from '../exchange/masking/mask-body.ts';
import type { Masker } from '../exchange/masking/masking.ts';
import { maskedHeader } from '../exchange/masking/names.ts';
import { Tally } from '../exchange/masking/tally.ts';
import { alignRoutingHeaders } from '../exchange/routing-headers.ts';
import { wireTarget } from '../exchange/target.ts';
import type { Policy } from '../policy.ts';
import type { UpstreamRequest } from './upstream.ts';

/** A request and its body: as it came, without its coding, and as text where it is one. */
export interface WholeRequest {
  request: IncomingMessage;
  encoded: Buffer | null;
  decoded: Buffer | null;
  text: string | null;
  messages: readonly Message[];
}

export interface ForwardedRequest extends UpstreamRequest {
  /** What was masked in it. */
  masked: Masked[] | undefined;
}

/** Headers that belong to the bytes of a body that is another one now. */
const OF_THE_BODY = ['content-encoding', 'content-md5', 'content-digest', 'repr-digest', 'digest'];
/** With these the server might answer in a form that can't be changed: coded, or a piece that begins within what is to be masked (RFC 9110 14.2). */
const OF_THE_ANSWER = ['accept-encoding', 'range', 'if-range'];
/** Credentials and ids that nothing would work without. */
const NEVER_MASKED = new Set(['authorization', 'proxy-authorization', 'cookie', 'host', 'mcp-session-id']);

/**
 * @param credential name and value of the header to set, or null
 * @param altersAnswer the answer may have to be changed, so it must come in a form in which it can be
 * @returns null when masking met its bound: nothing of it may go
 */
export function forwardedRequest(
  whole: WholeRequest,
  policy: Policy,
  credential: { name: string; value: string } | null,
  altersAnswer: boolean,
): ForwardedRequest | null {
  const { request, encoded } = whole;
  const headers = endToEndHeaders(request.rawHeaders, 'request');
  const method = request.method as string;
  const { wire } = policy.masking;
  const removed = policy.callerToken === 'Remove' ? ['authorization'] : [];
  if (altersAnswer) removed.push(...OF_THE_ANSWER);
  if (credential !== null) removed.push(credential.name.toLowerCase());
  let forwarded: ForwardedRequest | null = {
    method,
    target: request.url as string,
    headers,
    body: encoded,
    masked: undefined,
  };
  if (wire !== null) forwarded = maskRequest(whole, forwarded, wire, removed);
  if (forwarded === null || removed.length === 0) return forwarded;
  const kept = withoutHeaders(forwarded.headers, removed);
  if (credential !== null) kept.push(credential.name, credential.value);
  return { ...forwarded, headers: kept };
}

function maskRequest(
  { decoded, text, messages }: WholeRequest,
  forwarded: ForwardedRequest,
  masker: Masker,
  removed: string[],
): ForwardedRequest | null {
  const tally = new Tally();
  let { body, headers } = forwarded;
  const masked = decoded === null ? { found: 'nothing' as const } : maskBody(masker, decoded, text);
  if (masked.found === 'too_much') return null;
  if (masked.found === 'something') {
    body = masked.bytes;
    tally.add(masked.masked);
    removed.push(...OF_THE_BODY);
    headers = alignRoutingHeaders(headers, messages, messagesOf(masked.text));
  }
  return {
    ...forwarded,
    target: wireTarget(forwarded.target, masker, tally),
    headers: headers.map((value, index) => {
      const name = index % 2 === 0 ? null : (headers[index - 1] as string).toLowerCase();
      return name === null || NEVER_MASKED.has(name) ? value : maskedHeader(masker, name, value, tally);
    }),
    body,
    masked: tally.counts,
  };
}

/** The messages of a masked text; undefined when it has none that could be read. */
export function messagesOf(text: string | null): readonly Message[] | undefined {
  const scanned = text === null ? null : scanMessages(text);
  return scanned?.ok === true ? scanned.messages : undefined;
}

/** Gateways (CGI, WSGI) read an underscore in a name as a hyphen, so that both spellings go. */
function withoutHeaders(flat: readonly string[], names: readonly string[]): string[] {
  const kept: string[] = [];
  const removed = names.map(hyphenated);
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i] as string;
    if (!removed.includes(hyphenated(name.toLowerCase()))) kept.push(name, flat[i + 1] as string);
  }
  return kept;
}

function hyphenated(name: string): string {
  return name.replaceAll('_', '-');
}
