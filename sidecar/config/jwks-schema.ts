/**
 * Owns public keys of an issuer as they stand in configuration (RFC 7517).
 * Invariant: a key that could also make signatures is refused, and nothing of it is repeated.
 */
import { createPublicKey } from 'node:crypto';
import { z } from 'zod';
import { section } from './section.ts';

const JWKS_EXPECTED =
  'a JWK Set (RFC 7517): {keys: [{kty: ...}]}, with at least one public key to verify with';
/** RFC 7518 6.2.2, 6.3.2 and 6.4.1: what only who signs may have. */
const PRIVATE = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];

/** What is wrong with a key; null for a public one. */
function keyProblem(key: Record<string, unknown>): string | null {
  if (key['kty'] === 'oct' || PRIVATE.some((member) => member in key)) {
    return 'a public key: this one has private or secret parts, which do not belong into a configuration. Take it out, and replace it at the issuer';
  }
  try {
    createPublicKey({ key, format: 'jwk' });
    return null;
  } catch {
    return 'a public key of kty RSA, EC or OKP';
  }
}

const key = z
  .record(z.string(), z.unknown(), { error: 'a key: {kty: ...}' })
  .superRefine((given, context) => {
    const problem = keyProblem(given);
    if (problem !== null) context.addIssue(problem);
  });

export const jwks = section(
  {
    keys: z
      .array(key, { error: JWKS_EXPECTED })
      .refine((keys) => keys.some(({ use = 'sig' }) => use === 'sig'), { error: JWKS_EXPECTED }),
  },
  JWKS_EXPECTED,
);
