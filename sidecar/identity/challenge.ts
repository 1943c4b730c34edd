/**
 * Owns how a caller is told that it may not: `WWW-Authenticate` and body by RFC 6750 3 and RFC 9728 5.1.
 * Invariant: every message is the recorder's own, of the characters that RFC 6750 allows; nothing of a request is in it.
 */
import type { Identified, IdentityRefusal } from './identity.ts';

export type Refused = Extract<Identified, { verdict: 'refuse' }>;

/** Why a call is refused, before it is known how to say so to this client. */
export interface Objection {
  reason: IdentityRefusal;
  /** Code of RFC 6750 3.1; null where it has none for the cause. */
  error: 'invalid_request' | 'invalid_token' | 'insufficient_scope' | null;
  message: string;
}

export interface Challenges {
  /**
   * Puts an objection into headers and body.
   * @param scopes what a token must carry; [] = nothing
   * @param corsHeaders what a browser needs to read the answer
   */
  refuse(objection: Objection, scopes: readonly string[], corsHeaders: Record<string, string>): Refused;
}

/** Seconds after which a client may try again, when keys could not be fetched. */
const RETRY_AFTER = '10';

/** @param resourceMetadata URL of the metadata (RFC 9728 5.1); null: there is none */
export function createChallenges(resourceMetadata: string | null): Challenges {
  return {
    refuse({ reason, error, message }, scopes, corsHeaders) {
      const headers = { ...corsHeaders };
      if (reason === 'issuer_unavailable') {
        headers['Retry-After'] = RETRY_AFTER;
      } else if (reason !== 'forbidden_origin') {
        headers['WWW-Authenticate'] = challenge(error, message, scopes);
        // Tokens and what they lead to are not to be kept by caches on the way (RFC 6750 5.3).
        headers['Cache-Control'] = 'no-store';
      }
      // Without credentials the client is told no error code (RFC 6750 3.1): it has the words of the table.
      const body = error === null ? null : JSON.stringify({ error, error_description: message });
      if (body !== null) headers['Content-Type'] = 'application/json';
      return { verdict: 'refuse', reason, message, headers, body, caller: null };
    },
  };

  function challenge(error: string | null, message: string, scopes: readonly string[]): string {
    const attributes: string[] = [];
    if (error !== null) attributes.push(`error="${error}"`, `error_description="${message}"`);
    if (scopes.length > 0) attributes.push(`scope="${quotable(scopes.join(' '))}"`);
    if (resourceMetadata !== null) attributes.push(`resource_metadata="${quotable(resourceMetadata)}"`);
    return attributes.length === 0 ? 'Bearer' : `Bearer ${attributes.join(', ')}`;
  }
}

/** As the inside of a quoted string (RFC 9110 5.6.4). */
function quotable(text: string): string {
  return text.replaceAll(/["\\]/g, '\\$&');
}
