/**
 * Owns policies for tests of the proxy: small real parts behind the interfaces that it asks.
 * Invariant: what a part does is plain from its name; none of them keeps a request.
 */
import { encodePrincipal } from '@mcp-recorder/recording/format/encode';
import type { Masked, Principal } from '@mcp-recorder/recording/format/line';
import type { RuleConfiguration } from '../../sidecar/config/access.ts';
import type { Caller } from '../../sidecar/exchange/caller.ts';
import type { MaskedText, Masker } from '../../sidecar/exchange/masking/masking.ts';
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

/** Masks what a pattern finds, on decoded JSON strings and in other text, and the values of members with one of these names. */
export function masker(rule: string, pattern: RegExp, keys: readonly string[] = []): Masker {
  const mark = `[masked:${rule}]`;
  const result = (text: string, count: number): MaskedText => ({
    text,
    masked: count === 0 ? null : [{ rule, count }],
    exceeded: false,
  });
  function replaceIn(text: string): MaskedText {
    let count = 0;
    const shown = text.replaceAll(pattern, () => {
      count++;
      return mark;
    });
    return result(count === 0 ? text : shown, count);
  }
  return {
    value: replaceIn,
    member: (name, value) => (keys.includes(name) ? result(mark, 1) : replaceIn(value)),
    content(text) {
      let count = 0;
      let value: unknown;
      try {
        value = JSON.parse(text, (key, inner: unknown) => {
          const found = typeof inner === 'string' ? replaceIn(inner) : null;
          const masked = keys.includes(key) ? result(mark, 1) : found;
          count += masked?.masked?.[0]?.count ?? 0;
          return masked === null ? inner : masked.text;
        });
      } catch {
        return replaceIn(text);
      }
      return result(count === 0 ? text : JSON.stringify(value), count);
    },
    bytes(bytes) {
      const { text, masked } = replaceIn(bytes.toString('latin1'));
      return masked === null ? null : { bytes: Buffer.from(text, 'latin1'), masked: masked as Masked[] };
    },
  };
}
