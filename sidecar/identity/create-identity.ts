/**
 * Owns the answer to who calls, where tokens are looked at: `Enforce` and `Observe`.
 * Invariants: with `Enforce` a request passes only with a token that was verified, with keys that its issuer publishes now; a token that was
 * seen is answered at once; what is remembered, and what waits, is bounded, whatever callers send.
 */
import type { AuthConfiguration, IssuerConfiguration } from '../config/access.ts';
import type { Caller } from '../exchange/caller.ts';
import { createRecentCache } from '../exchange/recent-cache.ts';
import { createAnonymousIdentity, ANONYMOUS, FORBIDDEN_ORIGIN, UNVERIFIED } from './anonymous.ts';
import { type Bearer, bearerOf, hasTokenInQuery, isWellFormed, MALFORMED } from './bearer.ts';
import { createChallenges, type Objection } from './challenge.ts';
import type { Identified, Identity, RequestHead } from './identity.ts';
import { createFetchedKeys, createGivenKeys, type IdentityLog, type IssuerKeys } from './issuer-keys.ts';
import { createOrigins } from './origins.ts';
import { createOwnWords, metadataUrl } from './own-words.ts';
import { createTurns } from './turns.ts';
import { createVerifier, type TrustedIssuer, type Verdict } from './verify-token.ts';

export interface IdentityParts {
  log: IdentityLog;
  /** Milliseconds since the epoch: times in tokens. */
  nowMs?: () => number;
  /** Milliseconds that only grow: ages of keys. */
  monotonicMs?: () => number;
  /** The identity that this one takes the place of, not closed yet: its keys are used on. */
  before?: Identity;
}

interface TokenIdentity extends Identity {
  /** What was fetched, by what it was fetched with. */
  readonly fetched: ReadonlyMap<string, IssuerKeys>;
}

/** Most tokens that are remembered with their callers, and UTF-16 units of them: two generations of half of it each. */
const MAX_CALLERS = 10_000;
const MAX_CALLER_CHARACTERS = 4 * 1024 * 1024;
/** The same of tokens that were refused after their signature was looked at. */
const MAX_REFUSED = 1_000;
const MAX_REFUSED_CHARACTERS = 1024 * 1024;
/** Tokens that are being looked at, or wait for keys. */
const MAX_PENDING = 1_024;
/** Signatures that are verified, and issuers that are asked, at once. */
const VERIFIED_AT_ONCE = 2;
const FETCHED_AT_ONCE = 2;
/** How long a call waits for keys that are being fetched (ms): with `Observe` it would pass without them too. */
const ENFORCE_WAIT_MS = 5_000;
const OBSERVE_WAIT_MS = 1_000;

type Known = Extract<Verdict, { kind: 'caller' }> & { passes: Identified; hasScopes: boolean };
/** `atMs`: epoch ms; a clock that goes back behind it may make a token valid. */
type Refused = { message: string; issuer: TrustedIssuer; version: number; atMs: number };

/** Begins to fetch keys at once, and waits for none. */
export function createIdentity(auth: AuthConfiguration, parts: IdentityParts): Identity {
  if (auth.mode === 'Anonymous') return createAnonymousIdentity(auth.allowedOrigins);
  const { log, nowMs = Date.now, monotonicMs = () => performance.now() } = parts;
  const enforces = auth.mode === 'Enforce';
  const origins = createOrigins(auth.allowedOrigins);
  const { resource } = auth;
  const ownWords = enforces && resource !== null ? createOwnWords(auth, resource, origins) : null;
  const challenges = createChallenges(enforces && resource !== null ? metadataUrl(resource) : null);
  const fetchTurns = createTurns(FETCHED_AT_ONCE);
  const before = (parts.before as Partial<TokenIdentity> | undefined)?.fetched;
  const fetched = new Map<string, IssuerKeys>();
  const issuers = new Map<string, TrustedIssuer>();
  for (const configuration of auth.issuers) {
    const scopes = [...new Set([...auth.scopes, ...configuration.scopes])];
    issuers.set(configuration.issuer, { configuration, keys: keysOf(configuration), scopes });
  }
  const verify = createVerifier({
    issuers,
    clockSkewMs: auth.clockSkewMs,
    waitMs: enforces ? ENFORCE_WAIT_MS : OBSERVE_WAIT_MS,
    nowMs,
    turns: createTurns(VERIFIED_AT_ONCE),
  });
  const length = (token: string) => token.length;
  const known = createRecentCache<Known>(MAX_CALLERS / 2, { most: MAX_CALLER_CHARACTERS / 2, of: length });
  const refused = createRecentCache<Refused>(MAX_REFUSED / 2, {
    most: MAX_REFUSED_CHARACTERS / 2,
    of: length,
  });
  const pending = new Map<string, Promise<Verdict>>();

  function keysOf(configuration: IssuerConfiguration): IssuerKeys {
    const { issuer, ca, jwks } = configuration;
    if (jwks !== null) return createGivenKeys(issuer, jwks, nowMs());
    const { maxKeyAgeMs } = auth;
    const how = JSON.stringify([issuer, ca, maxKeyAgeMs]);
    const keys =
      before?.get(how)?.share() ??
      createFetchedKeys(configuration, { maxKeyAgeMs, nowMs, monotonicMs, log, turns: fetchTurns });
    fetched.set(how, keys);
    return keys;
  }

  function refuse(
    objection: Objection,
    head: RequestHead,
    caller: Caller | null = null,
    scopes = auth.scopes,
  ) {
    if (!enforces) return { verdict: 'pass', caller: UNVERIFIED } as const;
    const refusal = challenges.refuse(objection, scopes, origins.headers(head.rawHeaders));
    return caller === null ? refusal : { ...refusal, caller };
  }

  function withoutToken(bearer: Exclude<Bearer, { kind: 'token' }>, head: RequestHead): Identified {
    if (bearer.kind === 'too_long') return refuse(invalidToken(bearer.message), head);
    if (bearer.kind === 'malformed') return refuse(invalidRequest(bearer.message), head);
    if (!enforces && bearer.kind === 'none') return { verdict: 'pass', caller: ANONYMOUS };
    return refuse(NO_TOKEN, head);
  }

  function ofCaller(found: Known, head: RequestHead): Identified {
    if (found.hasScopes || !enforces) return found.passes;
    return refuse(INSUFFICIENT_SCOPE, head, found.caller, [...found.issuer.scopes]);
  }

  /** What is remembered of a token; null when it has to be looked at. */
  function remembered(token: string, head: RequestHead): Identified | null {
    const found = known.get(token);
    if (found !== undefined) {
      if (found.key.isGone || !found.issuer.keys.isUsable) return null;
      if (nowMs() >= found.expiresMs) return refuse(invalidToken('The access token has expired'), head);
      return ofCaller(found, head);
    }
    const bad = refused.get(token);
    if (bad === undefined || bad.version !== bad.issuer.keys.set.version || nowMs() < bad.atMs) return null;
    return refuse(invalidToken(bad.message), head);
  }

  async function lookAt(token: string): Promise<Verdict> {
    try {
      const verdict = await verify(token);
      if (verdict.kind === 'invalid' && verdict.final !== null) {
        const { message, final: issuer } = verdict;
        refused.set(token, { message, issuer, version: issuer.keys.set.version, atMs: nowMs() });
      }
      return verdict;
    } finally {
      pending.delete(token);
    }
  }

  async function judged(token: string, head: RequestHead): Promise<Identified> {
    let looking = pending.get(token);
    if (looking === undefined) {
      if (pending.size >= MAX_PENDING) return refuse(CROWDED, head);
      looking = lookAt(token);
      pending.set(token, looking);
    }
    const verdict = await looking;
    if (verdict.kind === 'unavailable') return refuse(unavailable(verdict.message), head);
    if (verdict.kind === 'invalid') return refuse(invalidToken(verdict.message), head);
    const { caller, issuer } = verdict;
    const passes: Identified = { verdict: 'pass', caller };
    const hasScopes = issuer.scopes.every((scope) => caller.scopes.includes(scope));
    const found: Known = { ...verdict, passes, hasScopes };
    known.set(token, found);
    return ofCaller(found, head);
  }

  const identity: TokenIdentity = {
    fetched,
    identify(head) {
      const own = ownWords?.(head) ?? null;
      if (own !== null) return own;
      if (!origins.allows(head.rawHeaders))
        return challenges.refuse(FORBIDDEN_ORIGIN, [], { Vary: 'Origin' });
      if (hasTokenInQuery(head.target)) return refuse(TOKEN_IN_QUERY, head);
      const bearer = bearerOf(head.rawHeaders);
      if (bearer.kind !== 'token') return withoutToken(bearer, head);
      const { token } = bearer;
      const seen = remembered(token, head);
      if (seen !== null) return seen;
      return isWellFormed(token) ? judged(token, head) : refuse(invalidRequest(MALFORMED), head);
    },
    get issuers() {
      return [...issuers.values()].map(({ keys }) => keys.health());
    },
    close() {
      for (const { keys } of issuers.values()) keys.close();
    },
  };
  return identity;
}

const NO_TOKEN: Objection = { reason: 'no_token', error: null, message: 'No access token was sent' };
const INSUFFICIENT_SCOPE: Objection = {
  reason: 'insufficient_scope',
  error: 'insufficient_scope',
  message: 'The access token lacks a scope that is needed here',
};
const TOKEN_IN_QUERY = invalidRequest('Access tokens in the query are not accepted');
const CROWDED = unavailable('Too many tokens are being looked at');

function invalidToken(message: string): Objection {
  return { reason: 'invalid_token', error: 'invalid_token', message };
}

function invalidRequest(message: string): Objection {
  return { reason: 'invalid_token', error: 'invalid_request', message };
}

function unavailable(message: string): Objection {
  return { reason: 'issuer_unavailable', error: null, message };
}
