/**
 * Owns what the head of a request says by itself: what it forbids, the values of its headers, the sessions that it names.
 */
import type { IncomingMessage } from 'node:http';
import type { RefusalReason } from '../exchange/refusals.ts';
import { sessionIdsOf } from '../exchange/target.ts';
import { headerOf } from './headers.ts';

/** Gateways (CGI, WSGI) read an underscore as a hyphen. */
const SESSION_HEADER = /^mcp[-_]session[-_]id$/i;
const UNDERSCORES = 'the request has an Mcp-Session-Id header that is spelled with underscores';

/** What the headers alone forbid. */
export function refusedByHeaders(
  request: IncomingMessage,
): { reason: RefusalReason; message: string } | null {
  const { method, rawHeaders, url } = request;
  if (method === 'TRACE' || method === 'CONNECT') {
    return { reason: 'method_not_allowed', message: `${method} can't be recorded and is not passed on` };
  }
  let hosts = 0;
  let sessionIds = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++;
    else if (name.length === 14 && SESSION_HEADER.test(name)) {
      sessionIds++;
      if (name.includes('_')) return { reason: 'malformed_http', message: UNDERSCORES };
    }
  }
  if (sessionIds > 1) {
    return { reason: 'malformed_http', message: 'the request has more than one Mcp-Session-Id header' };
  }
  // RFC 9112 3.2 knows no fragment in a target: some servers cut it off, and then find another path, or another session in the query.
  if (url?.includes('#') === true) {
    return { reason: 'malformed_http', message: 'the request target has a fragment' };
  }
  // RFC 9112 3.2: the server might take another one of them than the recorder.
  if (hosts > 1) return { reason: 'malformed_http', message: 'the request has more than one Host header' };
  if (hosts === 0 && request.httpVersion === '1.1') {
    return { reason: 'malformed_http', message: 'the request has no Host header' };
  }
  return null;
}

/** Every value of the header, as one list (RFC 9110 5.3): a server may read another of them than the first. */
export function wholeHeader(request: IncomingMessage, name: string): string | null {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(', ') : (value ?? null);
}

/** Every session id in header and query: the server may go by any of them. */
export function sessionIdsOfRequest(request: IncomingMessage): readonly string[] {
  const inHeader = headerOf(request.rawHeaders, 'mcp-session-id');
  const inQuery = sessionIdsOf(request.url as string);
  // An empty one names none.
  return inHeader === null || inHeader === '' ? inQuery : [inHeader, ...inQuery];
}
