/**
 * Owns how a request of a recording becomes one that rules can decide about.
 * Invariant: what the recording does not hold, or not as it was, is stood in for and never guessed.
 */
import { encodePrincipal } from '@mcp-recorder/recording/format/encode';
import type { Principal, RecordedHeader, RequestLine } from '@mcp-recorder/recording/format/line';
import type { Caller } from '../exchange/caller.ts';
import type { RuleRequest } from '../exchange/rules/rules.ts';
import type { Unrecorded } from './unrecorded.ts';

/** What masking left in a text. */
const MASKED = '[masked:';

export function isMasked(text: string | null): boolean {
  return text !== null && text.includes(MASKED);
}

/** @param readHeaders those whose values some rule reads */
export function recordedRequest(
  line: RequestLine,
  readHeaders: ReadonlySet<string> | 'all',
  unrecorded: Unrecorded,
): RuleRequest {
  const { principal, http, session, protocol } = line;
  return {
    caller: callerOf(principal, unrecorded),
    clientAddress: http.client_address ?? '',
    method: http.method ?? '',
    target: http.target ?? '',
    rawHeaders: headersOf(http.headers, readHeaders, unrecorded),
    session: session?.id ?? null,
    protocol: protocol ?? null,
  };
}

function callerOf(principal: Principal, unrecorded: Unrecorded): Caller {
  const verified = principal.how === 'oidc' || principal.how === 'kubernetes';
  const { groups } = principal;
  const whole = principal.cut !== true && !groups.some(isMasked);
  return {
    principal,
    principalJson: encodePrincipal(principal),
    key: JSON.stringify([principal.how, principal.issuer, principal.subject]),
    verified,
    groups: whole ? groups : unrecorded.standIn([], 'principal.groups'),
    // Who was not verified has neither.
    scopes: verified ? unrecorded.standIn([], 'principal.scopes') : [],
    claims: verified ? unrecorded.standIn({}, 'principal.claims') : {},
  };
}

function headersOf(
  headers: readonly RecordedHeader[],
  read: ReadonlySet<string> | 'all',
  unrecorded: Unrecorded,
): readonly string[] {
  const missing = headers.some(
    ({ name, value }) => isUnrecorded(name, value) && (read === 'all' ? !HIDDEN.has(name) : read.has(name)),
  );
  if (missing) return unrecorded.standIn([], 'http.headers');
  return headers.flatMap(({ name, value }) => [name, value ?? '']);
}

/** No rule sees these, so nothing depends on them. */
const HIDDEN = new Set(['authorization', 'cookie', 'proxy-authorization']);

/** Of a session id the recording has the hash. */
function isUnrecorded(name: string, value: string | null): boolean {
  return value === null || name === 'mcp-session-id' || isMasked(value);
}
