/**
 * Owns the judgement on one token (RFC 7519, RFC 8725, RFC 9068): what it must be, and whose it then is.
 * Invariant: nothing of a token is believed before its signature was verified with a key of an issuer that is trusted; what is read before
 * only picks the key. Nothing of it is in a verdict but the caller.
 */
// The whole of the package would stay in memory, twice as much as these (docs/adr/0006-memory-of-a-sidecar.md).
import { decodeProtectedHeader } from 'jose/decode/protected_header';
import * as errors from 'jose/errors';
import { decodeJwt } from 'jose/jwt/decode';
import { jwtVerify } from 'jose/jwt/verify';
import type { IssuerConfiguration } from '../config/access.ts';
import type { Caller } from '../exchange/caller.ts';
import { callerOf } from './caller-of.ts';
import { type Claims, kindProblem } from './claims.ts';
import type { IssuerKeys } from './issuer-keys.ts';
import type { SigningKey } from './key-set.ts';
import type { Turns } from './turns.ts';

export interface TrustedIssuer {
  configuration: IssuerConfiguration;
  keys: IssuerKeys;
  /** What its tokens must carry. */
  scopes: readonly string[];
}

export type Verdict =
  | { kind: 'caller'; caller: Caller; issuer: TrustedIssuer; key: SigningKey; expiresMs: number }
  /** @property final it stays so as long as the keys of the issuer are the same */
  | { kind: 'invalid'; message: string; final: TrustedIssuer | null }
  /** Whether it is valid can't be told now. */
  | { kind: 'unavailable'; message: string };

export interface VerifierParts {
  /** By `iss`. */
  issuers: ReadonlyMap<string, TrustedIssuer>;
  clockSkewMs: number;
  /** How long a token waits for keys that are on their way (ms). */
  waitMs: number;
  /** Milliseconds since the epoch. */
  nowMs(): number;
  /** Turns of signatures that are verified at once: it is the thread pool that syncs the spool. */
  turns: Turns;
}

/** Keys that are tried for a token that names none. */
const MAX_TRIES = 8;
/** Tokens that wait for keys: anybody can make one that has to, so they must not keep out those whose keys are there. */
const MAX_WAITING = 512;
/** What the payload of a token without them would leave open: until when it is valid, and whose it is. */
const REQUIRED_CLAIMS = ['exp', 'sub'];

type Tried =
  | { kind: 'verified'; claims: Claims; typ: unknown; key: SigningKey }
  | Verdict
  | 'no_key'
  | 'bad_signature';

export function createVerifier(parts: VerifierParts): (token: string) => Promise<Verdict> {
  const { issuers, clockSkewMs, waitMs, nowMs, turns } = parts;
  let waiting = 0;

  /** Waits for keys that are fetched, if they may be fetched now; false when they are on their way still. */
  async function freshKeys(keys: IssuerKeys): Promise<boolean> {
    const running = keys.refresh();
    if (running === null) return true;
    if (waiting >= MAX_WAITING) return false;
    waiting += 1;
    const late = Promise.withResolvers<false>();
    const timer = setTimeout(late.resolve, waitMs, false);
    try {
      return await Promise.race([running.then(() => true), late.promise]);
    } finally {
      clearTimeout(timer);
      waiting -= 1;
    }
  }

  async function tryKey(token: string, trusted: TrustedIssuer, key: SigningKey): Promise<Tried> {
    const { issuer, audiences, algorithms } = trusted.configuration;
    try {
      const { payload, protectedHeader } = await turns(() =>
        jwtVerify(token, key.find, {
          issuer,
          audience: audiences,
          algorithms,
          clockTolerance: clockSkewMs / 1000,
          currentDate: new Date(nowMs()),
          requiredClaims: REQUIRED_CLAIMS,
        }),
      );
      return { kind: 'verified', claims: payload, typ: protectedHeader.typ, key };
    } catch (error) {
      if (error instanceof errors.JWSSignatureVerificationFailed) return 'bad_signature';
      if (error instanceof errors.JWTExpired) return invalid('The access token has expired', trusted);
      if (error instanceof errors.JWTClaimValidationFailed) {
        return invalid(claimProblem(error.claim), error.claim === 'nbf' ? null : trusted);
      }
      if (error instanceof errors.JWTInvalid || error instanceof errors.JWSInvalid) return invalid(NOT_A_JWT);
      if (error instanceof errors.JOSENotSupported) {
        return invalid('The access token asks for an extension that is not supported');
      }
      // The key is of another kind than the algorithm, too short, or no key at all.
      return 'no_key';
    }
  }

  async function tryKeys(token: string, issuer: TrustedIssuer, kid: string | undefined): Promise<Tried> {
    let outcome: Tried = 'no_key';
    for (const key of issuer.keys.set.candidates(kid).slice(0, MAX_TRIES)) {
      const tried = await tryKey(token, issuer, key);
      if (typeof tried !== 'string') return tried;
      if (tried === 'bad_signature') outcome = tried;
    }
    return outcome;
  }

  /** What is left to judge of a token with a good signature, a known audience and a time. */
  function judge(issuer: TrustedIssuer, claims: Claims, typ: unknown, key: SigningKey): Verdict {
    const { sub, iat, exp } = claims as { sub: unknown; iat?: number; exp: number };
    const kind = kindProblem(typ, claims);
    if (kind !== null) return invalid(kind, issuer);
    if (typeof sub !== 'string' || sub === '') return invalid('The access token names no subject', issuer);
    if (iat !== undefined && iat * 1000 > nowMs() + clockSkewMs) {
      return invalid('The access token was issued in the future');
    }
    const caller = callerOf(issuer.configuration, sub, claims);
    return { kind: 'caller', caller, issuer, key, expiresMs: exp * 1000 + clockSkewMs };
  }

  return async (token) => {
    const peeked = peek(token);
    if (peeked === null) return invalid(NOT_A_JWT);
    const issuer = issuers.get(peeked.iss);
    if (issuer === undefined) return invalid('The issuer of the access token is not trusted');
    const { keys, configuration } = issuer;
    if (!configuration.algorithms.includes(peeked.alg)) {
      return invalid('The access token is signed with an algorithm that is not accepted');
    }
    if (!keys.isUsable) await freshKeys(keys);
    if (!keys.isUsable) return UNAVAILABLE;
    let tried = await tryKeys(token, issuer, peeked.kid);
    if (tried === 'no_key' || (tried === 'bad_signature' && peeked.kid === undefined)) {
      const { version } = keys.set;
      if (!(await freshKeys(keys))) return UNAVAILABLE;
      if (keys.set.version !== version) tried = await tryKeys(token, issuer, peeked.kid);
    }
    if (tried === 'no_key') {
      return keys.isFailing ? UNAVAILABLE : invalid('The key of the access token is not known');
    }
    if (tried === 'bad_signature') return invalid('The signature of the access token is wrong', issuer);
    return tried.kind === 'verified' ? judge(issuer, tried.claims, tried.typ, tried.key) : tried;
  };
}

const NOT_A_JWT = 'The access token is no signed JWT';
const UNAVAILABLE: Verdict = {
  kind: 'unavailable',
  message: 'The keys of the token issuer cannot be fetched at the moment',
};

function invalid(message: string, final: TrustedIssuer | null = null): Verdict {
  return { kind: 'invalid', message, final };
}

function claimProblem(claim: string): string {
  if (claim === 'aud') return 'The access token is for another audience';
  if (claim === 'nbf') return 'The access token is not valid yet';
  if (claim === 'exp') return 'The access token does not say when it expires';
  if (claim === 'sub') return 'The access token names no subject';
  return 'The access token has a claim of a wrong form';
}

/** What picks the key, unverified. */
function peek(token: string): { iss: string; alg: string; kid: string | undefined } | null {
  try {
    const { alg, kid } = decodeProtectedHeader(token);
    const { iss } = decodeJwt(token);
    if (typeof iss !== 'string' || typeof alg !== 'string') return null;
    if (kid !== undefined && typeof kid !== 'string') return null;
    return { iss, alg, kid };
  } catch {
    return null;
  }
}
