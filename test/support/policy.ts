/**
 * Owns policies for tests of the proxy: small real parts behind the interfaces that it asks.
 * Invariant: what a part does is plain from its name; none of them keeps a request.
 */
import { encodePrincipal } from '@mcp-recorder/recording/format/encode';
import type { Principal } from '@mcp-recorder/recording/format/line';
import type { MaskingRuleConfiguration, RuleConfiguration } from '../../sidecar/config/access.ts';
import type { Caller } from '../../sidecar/exchange/caller.ts';
import { compileMasking } from '../../sidecar/exchange/masking/compile.ts';
import type { Masker } from '../../sidecar/exchange/masking/masking.ts';
import { compileRules } from '../../sidecar/exchange/rules/compile.ts';
import type { Rules } from '../../sidecar/exchange/rules/rules.ts';
import { createAnonymousIdentity } from '../../sidecar/identity/anonymous.ts';
import type { Identified, Identity, RequestHead } from '../../sidecar/identity/identity.ts';
import type { Policy } from '../../sidecar/policy.ts';

const SERVER = { name: 'test', namespace: 'local', cluster: 'local', labels: {} };

/** The policy that lets all pass, with these parts in place of its own. */
export function policyOf(parts: Partial<Policy> = {}): Policy {
  return {
    identity: createAnonymousIdentity(null),
    rules: null,
    masking: { record: null, wire: null },
    credential: null,
    callerToken: 'Forward',
    server: SERVER,
    ...parts,
  };
}

/** A caller whose token was verified. */
export function callerNamed(subject: string): Caller {
  const principal: Principal = {
    how: 'oidc',
    issuer: 'https://idp.test',
    subject,
    name: `${subject}@example.com`,
    client_id: 'test',
    groups: ['dev'],
  };
  return {
    principal,
    principalJson: encodePrincipal(principal),
    key: `https://idp.test ${subject}`,
    verified: true,
    groups: ['dev'],
    scopes: [],
    claims: { sub: subject },
  };
}

export const NO_TOKEN: Identified = {
  verdict: 'refuse',
  reason: 'no_token',
  message: 'no token',
  headers: { 'WWW-Authenticate': 'Bearer' },
  body: null,
  caller: null,
};

/** Takes each `Authorization: Bearer <name>` for the token of a caller of that name. */
export function bearerIsName(identify?: (head: RequestHead) => Identified | Promise<Identified>): Identity {
  const callers = new Map<string, Caller>();
  const byName = ({ rawHeaders }: RequestHead): Identified => {
    const at = rawHeaders.findIndex((text, i) => i % 2 === 0 && text.toLowerCase() === 'authorization');
    const name = /^Bearer (\w+)$/.exec(rawHeaders[at + 1] ?? '')?.[1];
    if (at === -1 || name === undefined) return NO_TOKEN;
    if (!callers.has(name)) callers.set(name, callerNamed(name));
    return { verdict: 'pass', caller: callers.get(name) as Caller };
  };
  return { identify: identify ?? byName, issuers: [], close() {} };
}

/** @throws Error when a rule can't be compiled */
export function rulesOf(
  ...rules: (Pick<RuleConfiguration, 'name' | 'when'> & Partial<RuleConfiguration>)[]
): Rules {
  const whole = rules.map((rule) => ({ action: 'Deny' as const, message: null, hideTools: false, ...rule }));
  const made = compileRules(whole, SERVER);
  if (!made.ok) throw new Error(JSON.stringify(made.problems));
  return made.rules;
}

/**
 * Masks what a pattern (RE2) finds, as rule `<name>`, and the values of members with one of these names, as rule `<name>-key`.
 * @throws Error when a rule can't be compiled
 */
export function maskerOf(name: string, pattern: string | null, keys: readonly string[] = []): Masker {
  const rules: MaskingRuleConfiguration[] = [];
  if (pattern !== null) rules.push({ kind: 'pattern', name, pattern, appliesTo: 'Record' });
  if (keys.length > 0)
    rules.push({ kind: 'keys', name: `${name}-key`, keys: [...keys], appliesTo: 'Record' });
  const made = compileMasking({ base64: false, rules });
  if (!made.ok || made.masking.record === null) throw new Error(JSON.stringify(made));
  return made.masking.record;
}
