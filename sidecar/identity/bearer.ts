/**
 * Owns where a token may stand: in one `Authorization` header of the scheme Bearer (RFC 6750 2.1), and nowhere else.
 * Invariant: a request that could be read in two ways carries no token.
 */

/** UTF-16 units of a token that is looked at; longer ones are refused unread. */
export const MAX_TOKEN_CHARACTERS = 16 * 1024;

export type Bearer =
  /** Whether it has the form of one is not looked at: to look at each of its characters takes longer than to know it again. */
  | { kind: 'token'; token: string }
  /** No `Authorization` header. */
  | { kind: 'none' }
  /** A credential of another scheme, which is not for the recorder. */
  | { kind: 'other' }
  /** `invalid_request` of RFC 6750 3.1; the message holds nothing of the request. */
  | { kind: 'malformed'; message: string }
  | { kind: 'too_long'; message: string };

/** `b64token` of RFC 6750 2.1. */
const B64TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/;
const HEADER = 'authorization';
export const MALFORMED = 'The Authorization header holds no well-formed bearer token';

/**
 * The token of a request.
 * @param rawHeaders name, value, name, value ... as they stood on the wire
 */
export function bearerOf(rawHeaders: readonly string[]): Bearer {
  let value: string | null = null;
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string;
    if (name.length !== HEADER.length || name.toLowerCase() !== HEADER) continue;
    if (value !== null) return { kind: 'malformed', message: 'More than one Authorization header was sent' };
    value = rawHeaders[index + 1] as string;
  }
  if (value === null) return { kind: 'none' };
  const space = value.indexOf(' ');
  const scheme = space === -1 ? value : value.slice(0, space);
  if (scheme.toLowerCase() !== 'bearer') return { kind: 'other' };
  const token = space === -1 ? '' : value.slice(space + 1);
  if (token.length > MAX_TOKEN_CHARACTERS) {
    return { kind: 'too_long', message: 'The access token is longer than the recorder accepts' };
  }
  return token === '' ? { kind: 'malformed', message: MALFORMED } : { kind: 'token', token };
}

/** Whether a token has the form of one. */
export function isWellFormed(token: string): boolean {
  return B64TOKEN.test(token);
}

/** Whether the query carries a token (RFC 6750 2.3), which MCP forbids: it would be kept in logs and histories. */
export function hasTokenInQuery(target: string): boolean {
  const mark = target.indexOf('?');
  if (mark === -1) return false;
  const query = target.slice(mark + 1);
  // Without an escape in it the name stands there as it is.
  if (!query.includes('access_token') && !query.includes('%')) return false;
  return new URLSearchParams(query).has('access_token');
}
