/**
 * Owns what the recorders' own words make of `IdentityHealthy`, `RulesHealthy` and `CredentialHealthy`.
 * Invariant: what was not asked for is healthy; of what was, `True` only when every recorder that runs has said so within the last 45 s.
 * What callers can bring about, a rule that fails, is never a reason for the resource not to be ready.
 */
import type { AccessInForce } from './access-floors.ts';
import { type Heard, listen } from './heard.ts';
import type { Observed } from './observed.ts';
import type { PodFacts } from './pods.ts';
import { counted, listed, quoted, type Verdict, verdict } from './verdict.ts';

/** A rule that failed is told for so long (ms). */
const FAILURE_LASTS_MS = 10 * 60_000;

export function identityHealthy(
  { nowMs, clusterIssuer }: Observed,
  pods: readonly PodFacts[],
  { auth }: AccessInForce,
): Verdict {
  if (auth?.mode === 'Anonymous')
    return verdict('True', 'NobodyIdentified', 'Mode Anonymous: callers are not identified.');
  const { heard, silent } = listen(pods, nowMs);
  const unavailable = issuersThatAre('Unavailable', heard);
  if (unavailable !== null) return verdict('False', 'IssuerUnavailable', unavailable);
  if (silent !== null) return silent;
  const stale = issuersThatAre('Stale', heard);
  if (stale !== null) return verdict('False', 'IssuerStale', stale);
  const { problem } = clusterIssuer;
  if (auth?.kubernetes !== undefined && problem !== null)
    return verdict('False', 'ClusterKeysStale', `The API server could not be asked: ${quoted(problem)}.`);
  const number = (auth?.oidc?.length ?? 0) + (auth?.kubernetes === undefined ? 0 : 1);
  return verdict('True', 'IdentityHealthy', `Tokens of ${counted(number, 'issuer')} can be verified.`);
}

/** A sentence for each issuer in that state, with since when, where and why; null when none is. */
function issuersThatAre(state: 'Stale' | 'Unavailable', heard: readonly Heard[]): string | null {
  const found = new Map<string, { since: string; names: string[]; problem: string | null }>();
  for (const { name, status } of heard) {
    for (const one of status.auth?.issuers ?? []) {
      if (one.state !== state) continue;
      const known = found.get(one.issuer);
      const since = known === undefined || one.since < known.since ? one.since : known.since;
      const names = [...(known?.names ?? []), name];
      found.set(one.issuer, { since, names, problem: known?.problem ?? one.problem });
    }
  }
  const sentences = [...found].sort(([a], [b]) => (a < b ? -1 : 1));
  if (sentences.length === 0) return null;
  return sentences
    .map(
      ([issuer, { since, names, problem }]) =>
        `${issuer} since ${since.replace(/\.\d+Z$/, 'Z')}, at ${listed(names)}: ${quoted(problem ?? 'no reason given')}.`,
    )
    .join(' ');
}

export function rulesHealthy(
  { nowMs }: Observed,
  pods: readonly PodFacts[],
  { rules }: AccessInForce,
): Verdict {
  if (rules.length === 0) return verdict('True', 'NoRules', 'There are no rules.');
  const { heard, silent } = listen(pods, nowMs);
  const found = new Map<string, { count: number; names: string[]; problem: string }>();
  for (const { name, status } of heard) {
    for (const { rule, count, last_at, problem } of status.rules?.errors ?? []) {
      if (nowMs - Date.parse(last_at) >= FAILURE_LASTS_MS) continue;
      const known = found.get(rule);
      found.set(rule, {
        count: (known?.count ?? 0) + count,
        names: [...(known?.names ?? []), name],
        problem: known?.problem ?? problem,
      });
    }
  }
  const failing = [...found].sort(([a], [b]) => (a < b ? -1 : 1));
  if (failing.length > 0) {
    const sentences = failing.map(
      ([rule, { count, names, problem }]) =>
        `Rule ${rule} at ${listed(names)}, ${roughly(count)}: ${quoted(problem)}.`,
    );
    return verdict('False', 'RulesFailing', sentences.join(' '));
  }
  return (
    silent ?? verdict('True', 'RulesHealthy', `${counted(rules.length, 'rule')}, and none failed lately.`)
  );
}

/** A number that grows with each call would make each look news. */
function roughly(count: number): string {
  const digit = 10 ** (String(count).length - 1);
  const least = Math.floor(count / digit) * digit;
  return count < 10 ? counted(count, 'time') : `${least} times or more`;
}

export function credentialHealthy({ nowMs, resource }: Observed, pods: readonly PodFacts[]): Verdict {
  if (resource.spec.server.credential === undefined)
    return verdict('True', 'NoCredential', 'The server is given no credential.');
  const { heard, silent } = listen(pods, nowMs);
  const lacking = heard.flatMap(({ name, status }) => {
    const problem = status.credential?.problem ?? null;
    return problem === null ? [] : [{ name, problem }];
  });
  const [first] = lacking;
  if (first !== undefined) {
    const names = listed(lacking.map(({ name }) => name));
    return verdict('False', 'CredentialUnavailable', `At ${names}: ${quoted(first.problem)}.`);
  }
  return silent ?? verdict('True', 'CredentialHealthy', 'All recorders have the credential for the server.');
}
