/**
 * How a policy is made from a configuration, and what of the one before goes on in it.
 */
import { pino } from 'pino';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { RuleConfiguration } from '../../sidecar/config/access.ts';
import { loadConfiguration } from '../../sidecar/config/load.ts';
import type { Configuration } from '../../sidecar/config/schema.ts';
import { closePolicy, loadPolicy, type PolicyInForce } from '../../sidecar/load-policy.ts';
import type { Policy } from '../../sidecar/policy.ts';

const log = pino({ level: 'silent' });
const PLAIN = loadConfiguration({
  flags: { upstream: 'http://127.0.0.1:1', store: '/store', name: 'github', anonymous: true },
});
const RULE: RuleConfiguration = {
  name: 'a',
  when: 'mcp.tool == "x"',
  action: 'Deny',
  message: null,
  hideTools: false,
};
const MASKING: Configuration['masking'] = {
  base64: false,
  rules: [{ kind: 'keys', name: 'passwords', keys: ['password'], appliesTo: 'Wire' }],
};
// A port where nobody listens: its keys can't be had.
const AUTH: Configuration['auth'] = {
  ...PLAIN.auth,
  mode: 'Enforce',
  resource: 'https://mcp.example.com',
  issuers: [
    {
      how: 'oidc',
      issuer: 'http://127.0.0.1:1',
      audiences: ['https://mcp.example.com'],
      algorithms: ['RS256'],
      groupsClaim: null,
      nameClaim: null,
      scopes: [],
      ca: null,
      jwks: null,
    },
  ],
};
const WHOLE: Configuration = {
  ...PLAIN,
  labels: { environment: 'prod' },
  auth: AUTH,
  rules: [RULE],
  masking: MASKING,
  server: {
    ...PLAIN.server,
    callerToken: 'Remove',
    credential: { kind: 'bearer', tokenFile: '/token' },
  },
};

const made: Policy[] = [];
async function load(configuration: Configuration, before: PolicyInForce | null = null): Promise<Policy> {
  const policy = await loadPolicy(configuration, log, before);
  made.push(policy);
  return policy;
}
afterEach(() => {
  for (const policy of made.splice(0)) closePolicy(policy, null);
});

describe('a policy', () => {
  it('has nothing that the configuration does not ask for', async () => {
    const policy = await load(PLAIN);
    expect(policy).toMatchObject({
      rules: null,
      masking: { record: null, wire: null },
      credential: null,
      callerToken: 'Forward',
      server: { name: 'github', namespace: 'local', cluster: 'local', labels: {} },
    });
    expect(policy.identity.issuers).toEqual([]);
    expect(await policy.identity.identify({ method: 'POST', target: '/', rawHeaders: [] })).toMatchObject({
      verdict: 'pass',
      caller: { principal: { how: 'anonymous' } },
    });
  });

  it('has all that it asks for, also while the issuer is down', async () => {
    const policy = await load(WHOLE);
    expect(policy).toMatchObject({ callerToken: 'Remove', server: { labels: { environment: 'prod' } } });
    expect(policy.rules).not.toBeNull();
    expect(policy.credential).not.toBeNull();
    expect([policy.masking.record, policy.masking.wire !== null]).toEqual([null, true]);
    expect(policy.identity.issuers).toMatchObject([{ issuer: 'http://127.0.0.1:1' }]);
  });

  it.each<[string, Partial<Configuration>, RegExp]>([
    ['a rule', { rules: [{ ...RULE, when: '1' }] }, /rules\[0\]\.when \(line 1, column 1\): /],
    [
      'a pattern',
      {
        masking: {
          base64: false,
          rules: [{ kind: 'pattern', name: 'a', pattern: '(', appliesTo: 'Record' }],
        },
      },
      /masking\.rules\[0\]\.pattern: is no RE2 pattern/,
    ],
  ])('is not there when %s can not be compiled', async (_, change, why) => {
    await expect(loadPolicy({ ...WHOLE, ...change }, log)).rejects.toThrow(why);
  });

  const parts = (policy: Policy) => ({
    identity: policy.identity,
    rules: policy.rules,
    masking: policy.masking,
    credential: policy.credential,
  });
  it.each<[string, Partial<Configuration>, (keyof ReturnType<typeof parts>)[]]>([
    ['nothing', {}, []],
    ['what has nothing to do with it', { log: { level: 'debug' }, digest: 'other' }, []],
    ['auth', { auth: { ...AUTH, scopes: ['a'] } }, ['identity']],
    ['rules', { rules: [RULE, { ...RULE, name: 'b' }] }, ['rules']],
    ['labels, which rules ask for', { labels: {} }, ['rules']],
    ['masking', { masking: { ...MASKING, base64: true } }, ['masking']],
    [
      'the credential',
      { server: { ...WHOLE.server, credential: { kind: 'bearer', tokenFile: '/other' } } },
      ['credential'],
    ],
    ['all', { ...PLAIN }, ['identity', 'rules', 'masking', 'credential']],
  ])('keeps of the one before what %s left as it was', async (_, change, changed) => {
    const before = await load(WHOLE);
    const after = await load({ ...WHOLE, ...change }, { configuration: WHOLE, policy: before });
    for (const [part, value] of Object.entries(parts(before))) {
      const isKept = !changed.some((name) => name === part);
      expect([part, parts(after)[part as 'rules'] === value]).toEqual([part, isKept]);
    }
  });

  it('ends only what its successor did not take over, and not before requests are done with it', async () => {
    const ended: string[] = [];
    const plain = await load(PLAIN);
    const identity = (name: string): Policy['identity'] => ({
      ...plain.identity,
      close: () => void ended.push(name),
    });
    const credential = {
      current: () => ({ ok: false, problem: '' }) as const,
      problem: null,
      refused() {},
      close: () => void ended.push('credential'),
    };
    const before = { ...plain, identity: identity('before'), credential };
    const after = { ...plain, identity: identity('after'), credential };
    vi.useFakeTimers();
    try {
      closePolicy(before, after);
      vi.advanceTimersByTime(59_999);
      expect(ended).toEqual([]);
      vi.advanceTimersByTime(1);
      expect(ended).toEqual(['before']);
      closePolicy(after, null);
      expect(ended).toEqual(['before', 'after', 'credential']);
    } finally {
      vi.useRealTimers();
    }
  });
});
