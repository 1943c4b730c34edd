/** Who may call, what they may do, what is masked and what the server is given: what follows for the recorder, within the platform team's bounds. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { loadConfiguration } from '@mcp-recorder/sidecar/config/load';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import type { RecordedMCPServerSpec } from '../../../operator/api/recorded-mcp-server.ts';
import { accessProblems, platformProblems } from '../../../operator/desired/configuration-check.ts';
import { decide } from '../../../operator/desired/decide.ts';
import { sidecarConfiguration } from '../../../operator/desired/sidecar-configuration.ts';
import type { Settings } from '../../../operator/settings.ts';
import {
  AUTHORITY,
  bareWorld,
  CLUSTER_ISSUER,
  conditionIn,
  enforcedWorld,
  gated,
  heard,
  NOW_MS,
  resource,
  settings,
} from './world.ts';

const PORTS = { original: 8080, server: 8080, recorder: 9080, status: 9081 };
type Given = Parameters<typeof resource>[1];
type Policy = Settings['policy'];

const RESOURCE = 'https://mcp.example.com/github';
const IDP = 'https://idp.example.com';
const ENFORCED = { mode: 'Enforce' as const, resource: RESOURCE, oidc: [{ issuer: IDP }] };
const NO_DELETES = { name: 'no-deletes', when: 'mcp.tool == "delete_repo"', action: 'Deny' } as const;
const key = (name: string, of = 'token') => ({ name, key: of });

const bounded = (policy: Partial<Policy>): Settings => ({
  ...settings,
  policy: { ...settings.policy, ...policy },
});

/** The configuration as the recorder reads it. */
function read(given: Given, policy: Partial<Policy> = {}, metadata = {}) {
  const made = sidecarConfiguration(
    resource('github', given, metadata),
    bounded(policy),
    PORTS,
    AUTHORITY,
    CLUSTER_ISSUER,
  );
  if (!made.ok) throw new Error(made.refusal.cause);
  const text = made.files['config.yaml'] ?? '';
  const configuration = loadConfiguration({
    file: '/etc/mcp-recorder/config/config.yaml',
    text,
    environment: {},
  });
  return { ...configuration, text, refusals: made.refusals.map(({ reason }) => reason) };
}

const problems = (given: Given, policy: Partial<Policy> = {}) =>
  accessProblems(resource('github', given), bounded(policy));

describe('the configuration of access', () => {
  it('names issuers as the resource does, with the keys of the cluster from its API server', () => {
    const { auth } = read({ auth: { ...ENFORCED, kubernetes: { audiences: ['a'] } } });
    expect(auth).toMatchObject({ mode: 'Enforce', resource: RESOURCE, clockSkewMs: 60_000 });
    expect(auth.issuers).toMatchObject([
      { how: 'oidc', issuer: IDP, audiences: [RESOURCE], jwks: null },
      {
        how: 'kubernetes',
        issuer: CLUSTER_ISSUER.issuer,
        audiences: ['a'],
        jwks: { keys: CLUSTER_ISSUER.keys },
      },
    ]);
  });

  it('waits for the keys of the cluster, and says so', () => {
    const unknown = { known: null, problem: 'forbidden' };
    const observed = { ...bareWorld({ auth: { ...ENFORCED, kubernetes: {} } }), clusterIssuer: unknown };
    const plan = decide({ ...observed, configMap: null });
    expect(plan.configMap).toBeNull();
    expect(conditionIn(plan, 'Ready')).toMatchObject({ status: 'False', reason: 'ClusterKeysUnknown' });
  });

  it('changes when the API server has other keys', () => {
    const observed = enforcedWorld({ auth: { ...ENFORCED, kubernetes: {} } });
    const [first] = CLUSTER_ISSUER.keys;
    const known = { ...CLUSTER_ISSUER, keys: [...CLUSTER_ISSUER.keys, { ...first, kid: 'b' }] };
    const plan = decide({ ...observed, clusterIssuer: { known, problem: null } });
    expect(plan.configMap?.data?.['config.yaml']).toContain('kid: b');
    expect(plan.status.configuration).not.toBe(decide(observed).status.configuration);
  });

  it('has the rules in their order, the masks, and the labels that rules may read', () => {
    const masking: RecordedMCPServerSpec['masking'] = {
      base64: true,
      rules: [
        { appliesTo: 'Record', detectors: ['all'] },
        { appliesTo: 'Both', name: 'passwords', keys: ['password'] },
      ],
    };
    const other = { ...NO_DELETES, name: 'more', action: 'MetadataOnly' as const };
    const made = read({ rules: [NO_DELETES, other], masking }, {}, { labels: { environment: 'prod' } });
    expect(made.rules.map(({ name, action }) => [name, action])).toEqual([
      ['no-deletes', 'Deny'],
      ['more', 'MetadataOnly'],
    ]);
    expect(made.masking).toMatchObject({
      base64: true,
      rules: [{ kind: 'detectors' }, { kind: 'keys', name: 'passwords', appliesTo: 'Both' }],
    });
    expect(made.labels).toEqual({ environment: 'prod' });
  });

  const folder = '/etc/mcp-recorder/server-credential';
  it.each([
    [
      { header: { name: 'X-Api-Key', secretKeyRef: key('s') } },
      { kind: 'header', name: 'X-Api-Key', valueFile: `${folder}/value` },
    ],
    [{ bearer: { secretKeyRef: key('s') } }, { kind: 'bearer', tokenFile: `${folder}/token` }],
    [
      { basic: { usernameSecretKeyRef: key('s', 'u'), passwordSecretKeyRef: key('s', 'p') } },
      { kind: 'basic', usernameFile: `${folder}/username`, passwordFile: `${folder}/password` },
    ],
    [
      {
        clientCredentials: {
          issuer: IDP,
          clientIdSecretKeyRef: key('s', 'i'),
          clientSecretSecretKeyRef: key('s', 's'),
          scope: 'a b',
        },
      },
      {
        kind: 'clientCredentials',
        issuer: IDP,
        clientIdFile: `${folder}/client-id`,
        clientSecretFile: `${folder}/client-secret`,
        scope: 'a b',
      },
    ],
  ])('names files in place of the Secrets of %j', (credential, wanted) => {
    expect(read({ server: { credential, callerToken: 'Forward' } }).server).toMatchObject({
      credential: wanted,
      callerToken: 'Forward',
    });
  });
});

describe('the bounds of the platform team', () => {
  it('put its rules and masks first, under names that nobody else has', () => {
    const made = read(
      { rules: [NO_DELETES], masking: { rules: [{ appliesTo: 'Record', name: 'own', keys: ['a'] }] } },
      {
        rules: [{ ...NO_DELETES }],
        masking: {
          base64: true,
          rules: [
            { appliesTo: 'Both', detectors: ['all'] },
            { appliesTo: 'Record', name: 'own', keys: ['b'] },
          ],
        },
      },
    );
    expect(made.rules.map(({ name }) => name)).toEqual(['platform-no-deletes', 'no-deletes']);
    expect(made.masking.base64).toBe(true);
    expect(made.masking.rules.map((one) => ('name' in one ? one.name : one.kind))).toEqual([
      'detectors',
      'platform-own',
      'own',
    ]);
    expect(made.refusals).toEqual([]);
  });

  it('deny who has no identity where one is required, in every mode', () => {
    const required = { auth: { requireIdentity: true, allowedIssuers: [] } };
    expect(read({ auth: ENFORCED }, required)).toMatchObject({ rules: [], refusals: [] });
    for (const auth of [{ mode: 'Anonymous' as const }, { ...ENFORCED, mode: 'Observe' as const }]) {
      const made = read({ auth, rules: [NO_DELETES] }, required);
      expect(made.auth.mode).toBe(auth.mode);
      expect(made.rules.map(({ name }) => name)).toEqual(['platform-identity-required', 'no-deletes']);
      expect(made.refusals).toEqual(['IdentityRequired']);
      expect(problems({ auth }, required)[0]).toContain(`spec.auth.mode is ${auth.mode}`);
    }
  });

  it('take out issuers that are not allowed, and deny everyone when none is left', () => {
    const only = (...allowedIssuers: string[]) => ({ auth: { requireIdentity: false, allowedIssuers } });
    const auth = { ...ENFORCED, kubernetes: {} };
    expect(read({ auth }, only(IDP, 'kubernetes'))).toMatchObject({ refusals: [] });
    const left = read({ auth }, only(IDP));
    expect(left.auth.issuers.map(({ how }) => how)).toEqual(['oidc']);
    expect(left.refusals).toEqual(['IssuerNotAllowed']);
    const none = read({ auth: { ...auth, scopes: [] } }, only('https://other.example.com'));
    expect(none.auth).toMatchObject({ mode: 'Anonymous', issuers: [] });
    expect(none.rules.map(({ name }) => name)).toEqual(['platform-identity-required']);
    expect(problems({ auth }, only('https://other.example.com'))).toEqual([
      'spec.auth trusts https://idp.example.com, kubernetes (service accounts of this cluster), and the platform team allows only https://other.example.com; tokens of others are refused.',
    ]);
  });

  it('keep owners from withholding, where that is not allowed', () => {
    const rules = [NO_DELETES, { ...NO_DELETES, name: 'quiet', action: 'MetadataOnly' as const }];
    const masking: RecordedMCPServerSpec['masking'] = {
      base64: false,
      rules: [
        { appliesTo: 'Record', detectors: ['all'] },
        { appliesTo: 'Both', name: 'both', keys: ['a'] },
        { appliesTo: 'Wire', name: 'wire', keys: ['b'] },
      ],
    };
    const made = read({ rules, masking }, { allowWithholding: false });
    expect(made.rules.map(({ name }) => name)).toEqual(['no-deletes']);
    expect(made.masking.rules).toMatchObject([
      { name: 'both', appliesTo: 'Wire' },
      { name: 'wire', appliesTo: 'Wire' },
    ]);
    expect(made.refusals).toEqual(['WithholdingNotAllowed']);
    expect(read({ rules: [NO_DELETES] }, { allowWithholding: false }).refusals).toEqual([]);
  });
});

describe('what is wrong with it', () => {
  const wrong = { ...NO_DELETES, name: 'wrong', when: 'mcp.tool ==' };

  it('is told with the field of the resource, and the place in an expression', () => {
    const [problem = '', ...more] = problems({ rules: [NO_DELETES, wrong] }, { rules: [NO_DELETES] });
    expect(problem).toMatch(/^spec\.rules\[1\]\.when: line 1, column \d+: /);
    expect(more).toEqual([]);
  });

  it('is told of the chart where it stands there', () => {
    expect(problems({ rules: [NO_DELETES] }, { rules: [wrong] })[0]).toMatch(
      /^policy\.rules\[0\]\.when of the chart: line 1, column /,
    );
  });

  it.each<[string, Given, RegExp]>([
    [
      'an expression of another type',
      { rules: [{ ...NO_DELETES, when: 'mcp.tool' }] },
      /^spec\.rules\[0\]\.when: .*string/,
    ],
    [
      'a pattern that is none',
      { masking: { rules: [{ appliesTo: 'Record', name: 'x', pattern: '(' }] } },
      /^spec\.masking\.rules\[0\]\.pattern: is no RE2 pattern/,
    ],
    [
      'an unknown detector',
      { masking: { rules: [{ appliesTo: 'Record', detectors: ['all', 'nothing'] }] } },
      /^spec\.masking\.rules\[0\]\.detectors\[1\]: is no detector; known are all, /,
    ],
    [
      'a path that is none',
      { masking: { rules: [{ appliesTo: 'Record', name: 'x', paths: ['$..['] }] } },
      /^spec\.masking\.rules\[0\]\.paths\[0\]: /,
    ],
    ['a name that is there', { rules: [NO_DELETES, NO_DELETES] }, /^spec\.rules\[1\]\.name: .*earlier rule/],
    [
      'a credential of a wrong kind',
      { server: { credential: { header: { name: 'Host', secretKeyRef: key('s') } } } },
      /^spec\.server\.credential\.header\.name: /,
    ],
    [
      'keys that could also sign',
      { auth: { ...ENFORCED, oidc: [{ issuer: IDP, jwks: { keys: [{ kty: 'oct', k: 'c2VjcmV0' }] } }] } },
      /^spec\.auth\.oidc\[0\]\.jwks\.keys\[0\]: .*public key/,
    ],
  ])('is told of %s', (_, given, wanted) => {
    const [problem = ''] = problems(given);
    expect(problem).toMatch(wanted);
    expect(problem).not.toContain('c2VjcmV0');
  });

  it('keeps the configuration of before where it came past admission', () => {
    const observed = enforcedWorld();
    const spec = { ...observed.resource.spec, rules: [wrong] };
    const plan = decide({ ...observed, resource: { ...observed.resource, spec } });
    expect(plan.configMap).toEqual(observed.configMap);
    const { reason, message } = conditionIn(plan, 'Ready');
    expect(reason).toBe('ConfigurationInvalid');
    expect(message).toMatch(/^spec\.rules\[0\]\.when: line 1, column \d+: /);
  });

  it('is also that nobody said who may call', () => {
    const observed = bareWorld();
    const { auth: _, ...spec } = observed.resource.spec;
    const plan = decide({ ...observed, resource: { ...observed.resource, spec } });
    expect(conditionIn(plan, 'Ready')).toMatchObject({ status: 'False', reason: 'ConfigurationInvalid' });
    expect(conditionIn(plan, 'Ready').message).toContain('spec.auth: missing');
  });
});

describe('the examples of the documentation', () => {
  const root = path.join(import.meta.dirname, '../../..');
  const page = (file: string) => readFileSync(path.join(root, file), 'utf8');

  it('are taken by the recorder', () => {
    const examples = [...page('docs/api.md').matchAll(/```yaml\n([^]*?)```/g)].map(([, text = '']) =>
      parse(text),
    );
    const [demo] = parseAllDocuments(page('demo/kubernetes/identity.yaml')).map((one) => one.toJS());
    expect(examples.length).toBeGreaterThan(1);
    for (const { spec } of [...examples, demo]) {
      // As the API server gives it.
      const { auth, masking, ...given } = spec as Partial<RecordedMCPServerSpec>;
      const rules = (masking?.rules ?? []).map((mask) => Object.assign({ appliesTo: 'Record' }, mask));
      const whole = { ...given, auth: Object.assign({ mode: 'Enforce' }, auth), masking: { rules } };
      expect(problems(whole), JSON.stringify(spec)).toEqual([]);
    }
  });

  it('are taken by the operator', () => {
    const [, text = ''] = /policy\.yaml <<END\n([^]*?)\nEND/.exec(page('docs/operations.md')) ?? [];
    const { policy } = parse(text);
    expect(policy.rules).toHaveLength(1);
    const { base64, rules } = { base64: false, ...policy.masking };
    expect(platformProblems(bounded({ ...policy, masking: { base64, rules } }))).toEqual([]);
  });
});

describe('conditions of access', () => {
  const say = (given: Given, more: object) =>
    decide(heard(enforcedWorld(given), { status: { ...gated('Open', null, null), ...more } }));
  const issuers = (...states: ('Ok' | 'Stale' | 'Unavailable')[]) => ({
    auth: {
      issuers: states.map((state, index) => ({
        issuer: `${IDP}/${index}`,
        state,
        problem: state === 'Ok' ? null : 'connection refused',
        since: `2026-11-26T11:0${index}:00.123Z`,
      })),
    },
  });
  const failed = (count: number, agoMs: number) => ({
    rules: {
      errors: [
        {
          rule: 'no-deletes',
          count,
          last_at: new Date(NOW_MS - agoMs).toISOString(),
          problem: 'no such key: repo',
        },
      ],
    },
  });

  it('name the issuer that is down, since when, where and why; the server is not ready then', () => {
    const plan = say({ auth: ENFORCED }, issuers('Ok', 'Unavailable'));
    const { status, message } = conditionIn(plan, 'IdentityHealthy');
    expect(status).toBe('False');
    expect(message).toMatch(
      /^https:\/\/idp\.example\.com\/1 since 2026-11-26T11:01:00Z, at github-0, github-1: connection refused\. /,
    );
    expect(conditionIn(plan, 'Ready')).toMatchObject({ status: 'False', reason: 'IssuerUnavailable' });
    const observing = say({ auth: { ...ENFORCED, mode: 'Observe' } }, issuers('Unavailable'));
    expect(conditionIn(observing, 'IdentityHealthy').status).toBe('False');
    expect(conditionIn(observing, 'Ready').status).toBe('True');
  });

  it('tell of old keys in use, with which the server is ready', () => {
    const plan = say({ auth: ENFORCED }, issuers('Stale'));
    expect(conditionIn(plan, 'IdentityHealthy')).toMatchObject({ status: 'False', reason: 'IssuerStale' });
    expect(conditionIn(plan, 'Ready').status).toBe('True');
  });

  it('name the rule that failed, about how often, for ten minutes, and leave the server ready', () => {
    const plan = say({ rules: [NO_DELETES] }, failed(34, 60_000));
    expect(conditionIn(plan, 'RulesHealthy').message).toMatch(
      /^Rule no-deletes at github-0, github-1, 60 times or more: no such key: repo\. /,
    );
    expect(conditionIn(plan, 'Ready').status).toBe('True');
    expect(conditionIn(say({ rules: [NO_DELETES] }, failed(34, 601_000)), 'RulesHealthy').status).toBe(
      'True',
    );
  });

  it('name the pod that lacks the credential of the server, which is not ready then', () => {
    const given = { server: { credential: { bearer: { secretKeyRef: key('s') } } } };
    const plan = say(given, { credential: { problem: 'the file token is not there' } });
    expect(conditionIn(plan, 'CredentialHealthy').message).toMatch(
      /^At github-0, github-1: the file token is not there\. /,
    );
    expect(conditionIn(plan, 'Ready')).toMatchObject({ status: 'False', reason: 'CredentialUnavailable' });
  });

  it('take the word of a recorder from before there was access to say nothing of it', () => {
    const plan = say({ auth: ENFORCED, rules: [NO_DELETES] }, {});
    for (const type of ['IdentityHealthy', 'RulesHealthy', 'CredentialHealthy'] as const) {
      expect(conditionIn(plan, type).status).toBe('True');
    }
  });
});
