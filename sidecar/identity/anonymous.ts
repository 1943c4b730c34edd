/**
 * Owns identity where none is asked for: every caller is `anonymous`, and tokens are not looked at.
 * Invariant: loads nothing that verifies tokens; an origin that is not allowed is refused here too.
 */
import { encodePrincipal } from '@mcp-recorder/recording/format/encode';
import type { Principal } from '@mcp-recorder/recording/format/line';
import type { Caller } from '../exchange/caller.ts';
import { createChallenges, type Objection } from './challenge.ts';
import type { Identity } from './identity.ts';
import { createOrigins } from './origins.ts';

export const FORBIDDEN_ORIGIN: Objection = {
  reason: 'forbidden_origin',
  error: null,
  message: 'Pages of this origin may not call',
};

/** Who sent no token that the recorder should have looked at. */
export const ANONYMOUS: Caller = unknownCaller('anonymous');
/** Who sent one that could not be verified, and was let pass. */
export const UNVERIFIED: Caller = unknownCaller('unverified');

/** @param allowedOrigins null: not looked at */
export function createAnonymousIdentity(allowedOrigins: readonly string[] | null): Identity {
  const origins = createOrigins(allowedOrigins);
  const challenges = createChallenges(null);
  return {
    identify({ rawHeaders }) {
      if (origins.allows(rawHeaders)) return { verdict: 'pass', caller: ANONYMOUS };
      return challenges.refuse(FORBIDDEN_ORIGIN, [], { Vary: 'Origin' });
    },
    issuers: [],
    close() {},
  };
}

function unknownCaller(how: 'anonymous' | 'unverified'): Caller {
  const principal: Principal = { how, issuer: null, subject: null, name: null, client_id: null, groups: [] };
  return {
    principal,
    principalJson: encodePrincipal(principal),
    key: how,
    verified: false,
    groups: [],
    scopes: [],
    claims: {},
  };
}
