/**
 * Owns the making of a policy from a configuration, and what of the one before goes on in it.
 * Invariants: a policy is whole or not there; what its configuration does not ask for is not loaded; what did not change keeps what it knows:
 * keys, tokens, callers.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import type { Configuration } from './config/schema.ts';
import type { Identity } from './identity/identity.ts';
import type { Policy } from './policy.ts';

/** A policy, and what it was made from. */
export interface PolicyInForce {
  configuration: Configuration;
  policy: Policy;
}

type Part = (configuration: Configuration) => unknown;

/** Requests that came under the policy of before have asked all that they ask of it by then (ms). */
const RETIRED_MS = 60_000;

/**
 * Makes what decides about requests under this configuration. It begins to fetch keys, and waits for none.
 * @param before whose parts are kept where nothing of their configuration has changed
 * @throws Error when an expression or a pattern can't be compiled; nothing was begun then
 */
export async function loadPolicy(
  configuration: Configuration,
  log: Logger,
  before: PolicyInForce | null = null,
): Promise<Policy> {
  const { name, namespace, cluster, labels, server } = configuration;
  const recorded = { name, namespace, cluster, labels };
  const kept = (part: Part): Policy | null =>
    before !== null && isDeepStrictEqual(part(before.configuration), part(configuration))
      ? before.policy
      : null;

  const sameRules = kept((of) => [of.rules, of.name, of.namespace, of.cluster, of.labels]);
  const sameMasking = kept((of) => of.masking);
  // What can fail comes first.
  const rules = sameRules === null ? await loadRules(configuration, recorded) : sameRules.rules;
  const masking = sameMasking?.masking ?? (await loadMasking(configuration));
  const identity =
    kept(({ auth }) => auth)?.identity ?? (await loadIdentity(configuration, log, before?.policy.identity));
  const credential = kept((of) => of.server.credential);
  return {
    identity,
    rules,
    masking,
    credential: credential === null ? await loadCredential(configuration, log) : credential.credential,
    callerToken: server.callerToken,
    server: recorded,
  };
}

/** Ends what goes on in a policy. @param successor what takes parts of it over; null: all ends at once */
export function closePolicy(policy: Policy, successor: Policy | null): void {
  const ended = [
    ...(policy.identity === successor?.identity ? [] : [policy.identity]),
    ...(policy.credential === null || policy.credential === successor?.credential ? [] : [policy.credential]),
  ];
  const close = (): void => {
    for (const part of ended) part.close();
  };
  if (successor === null) close();
  else if (ended.length > 0) setTimeout(close, RETIRED_MS).unref();
}

async function loadRules({ rules }: Configuration, server: Policy['server']): Promise<Policy['rules']> {
  if (rules.length === 0) return null;
  const { compileRules } = await import('./exchange/rules/compile.ts');
  const made = compileRules(rules, server);
  if (made.ok) return made.rules;
  const problems = made.problems.map(
    ({ rule, key, line, column, message }) =>
      `rules[${rule}].${key} (line ${line}, column ${column}): ${message}`,
  );
  throw new Error(`The rules can't be used: ${problems.join('; ')}`);
}

async function loadMasking({ masking }: Configuration): Promise<Policy['masking']> {
  if (masking.rules.length === 0) return { record: null, wire: null };
  const { compileMasking } = await import('./exchange/masking/compile.ts');
  const made = compileMasking(masking);
  if (made.ok) return made.masking;
  const problems = made.problems.map(
    ({ rule, key, index, message }) =>
      `masking.rules[${rule}].${key}${index === null ? '' : `[${index}]`}: ${message}`,
  );
  throw new Error(`The masking can't be used: ${problems.join('; ')}`);
}

/** @param before whose fetched keys are used on: an issuer that is down must not matter because a name of a claim has changed */
async function loadIdentity(
  { auth }: Configuration,
  log: Logger,
  before: Identity | undefined,
): Promise<Identity> {
  if (auth.mode === 'Anonymous') {
    const { createAnonymousIdentity } = await import('./identity/anonymous.ts');
    return createAnonymousIdentity(auth.allowedOrigins);
  }
  const { createIdentity } = await import('./identity/create-identity.ts');
  return createIdentity(auth, { log, ...(before && { before }) });
}

async function loadCredential({ server }: Configuration, log: Logger): Promise<Policy['credential']> {
  if (server.credential === null) return null;
  const { createCredential } = await import('./credential/create-credential.ts');
  return createCredential(server.credential, { log });
}
