/**
 * The section `auth`: what it means, and what is refused with which words.
 */
import { generateKeyPairSync } from 'node:crypto';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import type { ConfigurationFlags } from '../../sidecar/config/flags.ts';
import { configurationJsonSchema } from '../../sidecar/config/problems.ts';
import { configurationFiles } from './scene.ts';

const files = configurationFiles();
const REST = { server: { url: 'http://127.0.0.1:3001/mcp' }, storage: { directory: 'a' } };
const RESOURCE = 'https://mcp.example.com/github';
const IDP = { issuer: 'https://idp.example.com' };
const ENFORCE = { resource: RESOURCE, oidc: [IDP] };
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const PUBLIC = { kid: 'a', ...publicKey.export({ format: 'jwk' }) };
const PRIVATE = privateKey.export({ format: 'jwk' });
const KUBERNETES = {
  issuer: 'https://kubernetes.default.svc.cluster.local',
  audiences: ['mcp'],
  jwks: { keys: [PUBLIC] },
};
const ALL = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];

const yamlOf = (auth: unknown) => JSON.stringify({ ...REST, auth });
const authOf = async (auth: unknown) => (await files.load(yamlOf(auth))).auth;
/** Without the line: all of it stands on one. */
const faultsOf = async (auth: unknown) =>
  (await files.faults(yamlOf(auth))).map((fault) => fault.replace(/^1: /, ''));

describe('auth', () => {
  it('enforces where issuers are given; tokens are for the resource', async () => {
    expect(await authOf(ENFORCE)).toEqual({
      mode: 'Enforce',
      resource: RESOURCE,
      scopes: [],
      allowedOrigins: null,
      clockSkewMs: 60_000,
      maxKeyAgeMs: 3_600_000,
      issuers: [
        {
          how: 'oidc',
          issuer: 'https://idp.example.com',
          audiences: [RESOURCE],
          algorithms: ALL,
          groupsClaim: 'groups',
          nameClaim: 'name',
          scopes: [],
          ca: null,
          jwks: null,
        },
      ],
    });
  });

  it('takes every key', async () => {
    const auth = {
      mode: 'Observe',
      resource: RESOURCE,
      scopes: ['mcp:use'],
      allowedOrigins: ['https://app.example.com', 'http://localhost:6274', 'vscode-webview://abc'],
      clockSkew: '5m',
      maxKeyAge: '12h',
      oidc: [
        {
          issuer: 'http://127.0.0.1:9000/realm',
          audiences: ['a', 'urn:b'],
          algorithms: ['ES256'],
          groupsClaim: 'realm_access.roles',
          nameClaim: '/https:~1~1example.com~1name',
          scopes: ['more'],
          jwks: { keys: [PUBLIC] },
        },
      ],
    };
    expect(await authOf(auth)).toEqual({
      mode: 'Observe',
      resource: RESOURCE,
      scopes: ['mcp:use'],
      allowedOrigins: auth.allowedOrigins,
      clockSkewMs: 300_000,
      maxKeyAgeMs: 43_200_000,
      issuers: [{ how: 'oidc', ca: null, ...auth.oidc[0] }],
    });
  });

  it('trusts a cluster for its accounts, which have no groups', async () => {
    const { issuers } = await authOf({ resource: RESOURCE, kubernetes: KUBERNETES });
    expect(issuers).toEqual([
      {
        how: 'kubernetes',
        ...KUBERNETES,
        algorithms: ALL,
        groupsClaim: null,
        nameClaim: null,
        scopes: [],
        ca: null,
      },
    ]);
  });

  it.each<[string, unknown, string]>([
    [
      'nothing chosen',
      {},
      'auth: found an empty mapping; needs mode: Anonymous (nobody is identified), or oidc: [{issuer: ...}] and resource: the URL that clients use (or give --anonymous, or --issuer and --resource)',
    ],
    [
      'Enforce without the resource',
      { oidc: [IDP] },
      'auth.resource: missing; needs the URL by which clients reach the server, for example https://mcp.example.com/github, with mode: Enforce (or give --resource)',
    ],
    [
      'Enforce without issuers',
      { mode: 'Enforce', resource: RESOURCE },
      'auth.oidc: missing; needs an issuer with mode: Enforce: oidc: [{issuer: ...}]',
    ],
    [
      'Observe without an audience',
      { mode: 'Observe', oidc: [IDP] },
      'auth.oidc[0].audiences: missing; needs audiences, or auth.resource',
    ],
    [
      'Anonymous with issuers',
      { mode: 'Anonymous', oidc: [IDP] },
      'auth.oidc: found a list; needs no issuers with mode: Anonymous, which identifies nobody',
    ],
    [
      'Anonymous with scopes',
      { mode: 'Anonymous', scopes: ['a'] },
      'auth.scopes: found a list; needs no scopes with mode: Anonymous, which identifies nobody',
    ],
    [
      'scopes of accounts',
      { resource: RESOURCE, scopes: ['a'], kubernetes: KUBERNETES },
      'auth.scopes: found a list; needs no scopes beside kubernetes: such tokens have none. Give them to each of oidc',
    ],
    [
      'an issuer twice',
      { resource: RESOURCE, oidc: [IDP, IDP] },
      'auth.oidc[1].issuer: found "https://idp.example.com"; needs another issuer: it is there already',
    ],
    [
      'an issuer that is the cluster too',
      { resource: RESOURCE, oidc: [{ issuer: KUBERNETES.issuer }], kubernetes: KUBERNETES },
      'auth.oidc[0].issuer: found "https://kubernetes.default.svc.cluster.local"; needs another issuer: it is there already',
    ],
    [
      'an unknown key of an issuer',
      { resource: RESOURCE, oidc: [{ ...IDP, audience: 'a' }] },
      'auth.oidc[0].audience: unknown key; known here: issuer, audiences, algorithms, groupsClaim, nameClaim, scopes, ca, jwks',
    ],
  ])('is refused with %s', async (_, auth, fault) => {
    expect(await faultsOf(auth)).toEqual([fault]);
  });

  it('is told by its line', async () => {
    const yaml = `server: {url: "http://a"}
storage: {directory: a}
auth:
  resource: ${RESOURCE}
  oidc:
    - issuer: https://a
    - issuer: http://idp.example.com
      algorithms:
        - ES256
        - HS256
`;
    expect(await files.faults(yaml)).toEqual([
      expect.stringMatching(/^7: auth\.oidc\[1\]\.issuer: found "http:\/\/idp\.example\.com"; needs the URL/),
      expect.stringMatching(/^10: auth\.oidc\[1\]\.algorithms\[1\]: found "HS256"; needs one of RS256, /),
    ]);
  });

  it.each([
    ['http://idp.example.com', 'plain HTTP to another machine'],
    ['https://idp.example.com?tenant=a', 'a query'],
    ['https://idp.example.com#a', 'a fragment'],
    ['https://user:secret@idp.example.com', 'a password'],
    ['idp.example.com', 'no scheme'],
    ['ftp://idp.example.com', 'another scheme'],
    ['http://127.0.0.1.example.com', 'a name that looks like loopback'],
  ])('refuses the issuer %s: %s', async (issuer) => {
    const faults = await faultsOf({ resource: RESOURCE, oidc: [{ issuer }] });
    expect(faults).toEqual([
      expect.stringContaining('needs the URL of an issuer, https (or http on this machine)'),
    ]);
    expect(faults[0]).not.toContain('secret');
  });

  it.each(['http://localhost:9000', 'http://127.0.0.1', 'http://[::1]:9000/realms/a', 'https://a/b'])(
    'takes the issuer %s',
    async (issuer) => {
      expect(await faultsOf({ resource: RESOURCE, oidc: [{ issuer }] })).toEqual([]);
    },
  );

  it.each([
    ['HS256', 'with HS256 whoever can check a token could also make one'],
    ['hs512', 'with hs512 whoever can check a token could also make one'],
    ['none', 'none is no signature: anybody could make a token'],
    ['rs256', 'one of RS256, RS384'],
    ['RSA1_5', 'one of RS256, RS384'],
  ])('refuses the algorithm %s', async (algorithm, why) => {
    const faults = await faultsOf({ resource: RESOURCE, oidc: [{ ...IDP, algorithms: [algorithm] }] });
    expect(faults).toEqual([expect.stringContaining(why)]);
  });

  it.each([
    [
      'a private key',
      { keys: [PRIVATE] },
      'jwks.keys[0]: found a mapping; needs a public key: this one has private or secret parts',
    ],
    ['a secret', { keys: [{ kty: 'oct', k: 'c2VjcmV0' }] }, 'has private or secret parts'],
    ['no key', { keys: [] }, 'with at least one public key to verify with'],
    ['keys to encrypt with', { keys: [{ ...PUBLIC, use: 'enc' }] }, 'at least one public key to verify with'],
    [
      'what is no key',
      { keys: [{ kty: 'EC', crv: 'P-256', x: 'AA' }] },
      'a public key of kty RSA, EC or OKP',
    ],
    ['one key', PUBLIC, 'unknown key; known here: keys'],
  ])('refuses as JWKS %s, and repeats nothing of it', async (_, jwks, why) => {
    const faults = await faultsOf({ resource: RESOURCE, oidc: [{ ...IDP, jwks }] });
    expect(faults.join('\n')).toContain(why);
    expect(faults.join('\n')).not.toContain(PRIVATE.d);
    expect(faults.join('\n')).not.toContain('c2VjcmV0');
  });

  it.each<[string, object, string]>([
    ['a long skew', { clockSkew: '6m' }, 'auth.clockSkew: found "6m"; needs at most 5m'],
    ['a short life of keys', { maxKeyAge: '10s' }, 'auth.maxKeyAge: found "10s"; needs at least 1m'],
    ['a scope with a space', { scopes: ['a b'] }, 'auth.scopes[0]: found "a b"; needs a scope'],
    ['any origin', { allowedOrigins: ['*'] }, 'auth.allowedOrigins[0]: found "*"; needs an origin'],
    ['an origin with a path', { allowedOrigins: ['https://a/'] }, 'needs an origin as browsers send it'],
    ['an origin in capitals', { allowedOrigins: ['https://A'] }, 'needs an origin as browsers send it'],
    ['an origin with its usual port', { allowedOrigins: ['https://a:443'] }, 'needs an origin as browsers'],
    ['the origin null', { allowedOrigins: ['null'] }, 'needs an origin as browsers send it'],
    [
      'a resource with a fragment',
      { resource: 'https://a/#b' },
      'auth.resource: found "https://a/#b"; needs',
    ],
    ['a claim with a gap', { oidc: [{ ...IDP, groupsClaim: 'a..b' }] }, 'groupsClaim: found "a..b"; needs a'],
    [
      'a bad pointer',
      { oidc: [{ ...IDP, groupsClaim: '/a~2' }] },
      'groupsClaim: found "/a~2"; needs a claim',
    ],
    ['no audience', { oidc: [{ ...IDP, audiences: [] }] }, 'audiences: found a list; needs a list of audie'],
    ['a broken authority', { oidc: [{ ...IDP, ca: 'x' }] }, 'needs certificates of authorities, PEM'],
  ])('refuses %s', async (_, change, fault) => {
    expect(await faultsOf({ ...ENFORCE, ...change })).toEqual([expect.stringContaining(fault)]);
  });

  it('is described by the JSON Schema', () => {
    const validate = new Ajv2020().compile(configurationJsonSchema());
    expect(validate({ ...REST, auth: ENFORCE })).toBe(true);
    expect(validate({ ...REST, auth: { resource: RESOURCE, kubernetes: KUBERNETES } })).toBe(true);
    expect(validate({ ...REST, auth: { ...ENFORCE, oidc: [{ ...IDP, audience: 'a' }] } })).toBe(false);
    expect(validate(REST)).toBe(false);
  });
});

describe('the flags of auth', () => {
  const given: ConfigurationFlags = { upstream: 'http://a', store: '/s' };
  const load = async (flags: ConfigurationFlags, yaml = '{}') =>
    (await files.load(yaml, { ...given, ...flags })).auth;

  it('are enough without a file', async () => {
    expect(await load({ anonymous: true })).toMatchObject({ mode: 'Anonymous', issuers: [] });
    expect(
      await load({ issuer: 'https://a', resource: RESOURCE, audience: ['b', 'c'], groupsClaim: 'roles' }),
    ).toMatchObject({
      mode: 'Enforce',
      resource: RESOURCE,
      issuers: [{ issuer: 'https://a', audiences: ['b', 'c'], groupsClaim: 'roles' }],
    });
  });

  it('give one issuer in the place of those of the file', async () => {
    const yaml = JSON.stringify({ auth: { ...ENFORCE, scopes: ['x'] } });
    expect(await load({ issuer: 'https://a' }, yaml)).toMatchObject({
      resource: RESOURCE,
      scopes: ['x'],
      issuers: [{ issuer: 'https://a', audiences: [RESOURCE] }],
    });
  });

  it('are told when they can not take effect, or are wrong', async () => {
    const yaml = JSON.stringify({ auth: ENFORCE });
    expect(await files.faults(yaml, { ...given, audience: ['a'] })).toEqual([
      '--audience: needs --issuer; an issuer of the file has its own',
    ]);
    expect(await files.faults('{}', { ...given, issuer: 'http://a', resource: RESOURCE })).toEqual([
      expect.stringMatching(/^--issuer: found "http:\/\/a"; needs the URL of an issuer/),
    ]);
    expect(
      await files.faults('{}', { ...given, issuer: 'https://a', resource: RESOURCE, audience: [''] }),
    ).toEqual([expect.stringMatching(/^--audience: found ""; needs an audience/)]);
    // It must not put aside what the file wants to be enforced.
    expect(await files.faults(yaml, { ...given, anonymous: true })).toEqual([
      expect.stringContaining('auth.oidc: found a list; needs no issuers with mode: Anonymous'),
    ]);
  });
});
