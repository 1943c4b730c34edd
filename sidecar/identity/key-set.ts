/**
 * Owns the public keys of one issuer, one by one, so that a token remembers which of them it was verified with.
 * Invariant: a key is one object for as long as the issuer publishes it; what was published and is no more says so.
 */
import { createLocalJWKSet } from 'jose/jwks/local';
import type { JWTVerifyGetKey } from 'jose/jwt/verify';

export interface SigningKey {
  readonly kid: string | null;
  /** The key for `jwtVerify`, where it fits a token's algorithm. */
  readonly find: JWTVerifyGetKey;
  /** The issuer has withdrawn it. */
  isGone: boolean;
}

export interface KeySet {
  /** Takes over what is published now (JWK, RFC 7517); says whether that differs from what was. */
  replace(keys: readonly Record<string, unknown>[]): boolean;
  /** The keys that can have signed a token. @param kid of its header; undefined: any key can */
  candidates(kid: string | undefined): SigningKey[];
  /** Counts how often the keys changed. */
  readonly version: number;
}

/** Keys of an issuer that are kept: more than any publishes, and few enough to try. */
const MAX_KEYS = 100;

export function createKeySet(): KeySet {
  /** By the text of the key. */
  let keys = new Map<string, SigningKey>();
  let version = 0;
  return {
    replace(published) {
      const now = new Map<string, SigningKey>();
      for (const jwk of published.slice(0, MAX_KEYS)) {
        const text = JSON.stringify(jwk);
        const key = keys.get(text) ?? signingKey(jwk);
        if (key !== null) now.set(text, key);
      }
      const before = keys;
      keys = now;
      let changed = now.size !== before.size;
      for (const [text, key] of before) {
        if (now.has(text)) continue;
        key.isGone = true;
        changed = true;
      }
      if (changed) version += 1;
      return changed;
    },
    candidates(kid) {
      const all = [...keys.values()];
      return kid === undefined ? all : all.filter((key) => key.kid === kid);
    },
    get version() {
      return version;
    },
  };
}

/** Null for what has not even the form of a key. */
function signingKey(jwk: Record<string, unknown>): SigningKey | null {
  try {
    const kid = typeof jwk['kid'] === 'string' ? jwk['kid'] : null;
    return { kid, find: createLocalJWKSet({ keys: [jwk] }), isGone: false };
  } catch {
    return null;
  }
}
