/**
 * The sections `rules` and `masking`, and the server's credential: what they mean, and what is refused with which words.
 */
import path from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { configurationJsonSchema } from '../../sidecar/config/problems.ts';
import { configurationFiles } from './scene.ts';

const files = configurationFiles();
const REST = {
  server: { url: 'http://127.0.0.1:3001/mcp' },
  storage: { directory: 'a' },
  auth: { mode: 'Anonymous' },
};
const validate = new Ajv2020().compile(configurationJsonSchema());
const load = (sections: object) => files.load(JSON.stringify({ ...REST, ...sections }));
/** Without the line: all of it stands on one. */
const faultsOf = async (sections: object) =>
  (await files.faults(JSON.stringify({ ...REST, ...sections }))).map((fault) => fault.replace(/^1: /, ''));

describe('rules', () => {
  const rule = { name: 'no-deletes', when: 'mcp.tool == "delete"', action: 'Deny' };

  it('are kept in their order, with defaults', async () => {
    const second = { name: 'b', when: 'true', action: 'MetadataOnly' };
    const first = { ...rule, message: 'Only admins delete', hideTools: true };
    expect((await load({ rules: [first, second] })).rules).toEqual([
      first,
      { ...second, message: null, hideTools: false },
    ]);
    expect(validate({ ...REST, rules: [first, second] })).toBe(true);
  });

  it.each<[string, unknown, string]>([
    ['no list', {}, 'rules: found an empty mapping; needs a list of at most 100 rules'],
    ['no name', [{ ...rule, name: undefined }], 'rules[0].name: missing; needs a name of 1 to 63 characters'],
    ['a name in capitals', [{ ...rule, name: 'No' }], 'rules[0].name: found "No"; needs a name of 1 to 63'],
    [
      'a name twice',
      [rule, rule],
      'rules[1].name: found "no-deletes"; needs a name of its own: an earlier rule',
    ],
    ['no expression', [{ ...rule, when: ' ' }], 'rules[0].when: found " "; needs a CEL expression'],
    [
      'an unknown action',
      [{ ...rule, action: 'Allow' }],
      'rules[0].action: found "Allow"; needs one of Deny, MetadataOnly',
    ],
    [
      'a message of a rule that denies nothing',
      [{ ...rule, action: 'MetadataOnly', message: 'no' }],
      'rules[0].message: found "no"; needs no message with action: MetadataOnly: it denies nothing',
    ],
    [
      'tools hidden by a rule that denies nothing',
      [{ ...rule, action: 'MetadataOnly', hideTools: true }],
      'rules[0].hideTools: found true; needs no hideTools with action: MetadataOnly: it denies nothing',
    ],
    ['a message of lines', [{ ...rule, message: 'a\nb' }], 'rules[0].message: found "a\\nb"; needs a text'],
    [
      'an unknown key',
      [{ ...rule, if: 'a' }],
      'rules[0].if: unknown key; known here: name, when, action, message',
    ],
  ])('are refused with %s', async (_, rules, fault) => {
    expect(await faultsOf({ rules })).toEqual([expect.stringContaining(fault)]);
  });

  it('are told by the line of the key', async () => {
    const yaml = `server: {url: "http://a"}
storage: {directory: a}
auth: {mode: Anonymous}
rules:
  - name: a
    when: "true"
    action: Allow
  - when: "true"
    action: Deny
`;
    expect(await files.faults(yaml)).toEqual([
      expect.stringMatching(/^7: rules\[0\]\.action: found "Allow"/),
      // Where the rule begins that lacks it.
      expect.stringMatching(/^8: rules\[1\]\.name: missing; needs a name/),
    ]);
  });

  it('may be a hundred', async () => {
    const rules = Array.from({ length: 101 }, (_, n) => ({ ...rule, name: `r${n}` }));
    expect((await load({ rules: rules.slice(1) })).rules).toHaveLength(100);
    expect(await faultsOf({ rules })).toEqual(['rules: found a list; needs a list of at most 100 rules']);
  });
});

describe('masking', () => {
  it('takes a rule of each kind', async () => {
    const rules = [
      { detectors: ['all'] },
      { name: 'passwords', appliesTo: 'Both', keys: ['password', 'Authorization'] },
      { name: 'ssn', appliesTo: 'Wire', paths: ['$.params.arguments.ssn'] },
      { name: 'employee', pattern: 'E[0-9]{6}' },
    ];
    expect((await load({ masking: { base64: true, rules } })).masking).toEqual({
      base64: true,
      rules: [
        { kind: 'detectors', appliesTo: 'Record', detectors: ['all'] },
        { kind: 'keys', ...rules[1] },
        { kind: 'paths', ...rules[2] },
        { kind: 'pattern', appliesTo: 'Record', ...rules[3] },
      ],
    });
    expect(validate({ ...REST, masking: { rules } })).toBe(true);
  });

  const KIND = 'needs exactly one of detectors, keys, paths and pattern';
  it.each<[string, object, string]>([
    ['no kind', { name: 'a' }, `masking.rules[0]: found a mapping; ${KIND}`],
    ['two kinds', { name: 'a', keys: ['a'], pattern: 'b' }, `masking.rules[0]: found a mapping; ${KIND}`],
    ['no name', { keys: ['a'] }, 'masking.rules[0].name: missing; needs the name that stands in the place'],
    [
      'a name of detectors',
      { name: 'a', detectors: ['all'] },
      'rules[0].name: found "a"; needs no name with',
    ],
    [
      'an unknown place',
      { detectors: ['all'], appliesTo: 'Log' },
      'appliesTo: found "Log"; needs one of Record, Wire, Both',
    ],
    ['a path without root', { name: 'a', paths: ['a.b'] }, 'paths[0]: found "a.b"; needs a JSONPath that'],
    ['no keys', { name: 'a', keys: [] }, 'masking.rules[0].keys: found a list; needs a list of names'],
    [
      'an empty pattern',
      { name: 'a', pattern: '' },
      'pattern: found ""; needs a regular expression (RE2) of',
    ],
  ])('is refused with %s', async (_, rule, fault) => {
    expect(await faultsOf({ masking: { rules: [rule] } })).toEqual([expect.stringContaining(fault)]);
  });

  it('is refused with a name twice', async () => {
    const rule = { name: 'a', keys: ['a'] };
    expect(await faultsOf({ masking: { rules: [rule, { detectors: ['all'] }, rule] } })).toEqual([
      'masking.rules[2].name: found "a"; needs a name of its own: an earlier rule has this one',
    ]);
  });
});

describe("the server's own credential", () => {
  const withServer = (more: object) => ({ server: { ...REST.server, ...more } });
  const FILES = { clientIdFile: 'id', clientSecretFile: '/secret' };

  it.each<[string, object, object]>([
    [
      'a header',
      { header: { name: 'X-Api-Key', valueFile: 'key' } },
      { kind: 'header', name: 'X-Api-Key', valueFile: 'key' },
    ],
    ['a token', { bearer: { tokenFile: '/run/token' } }, { kind: 'bearer', tokenFile: '/run/token' }],
    [
      'a user',
      { basic: { usernameFile: 'u', passwordFile: 'p' } },
      { kind: 'basic', usernameFile: 'u', passwordFile: 'p' },
    ],
    [
      'a client',
      { clientCredentials: { issuer: 'https://idp', ...FILES, scope: 'a b', resource: 'https://mcp' } },
      {
        kind: 'clientCredentials',
        issuer: 'https://idp',
        tokenEndpoint: null,
        ...FILES,
        scope: 'a b',
        resource: 'https://mcp',
        ca: null,
      },
    ],
    [
      'a client without discovery',
      { clientCredentials: { tokenEndpoint: 'http://127.0.0.1:1/token?tenant=a', ...FILES } },
      {
        kind: 'clientCredentials',
        issuer: null,
        tokenEndpoint: 'http://127.0.0.1:1/token?tenant=a',
        ...FILES,
        scope: null,
        resource: null,
        ca: null,
      },
    ],
  ])('may be that of %s; its files count from the configuration file', async (_, credential, expected) => {
    const absolute = Object.entries(expected).map(([key, value]) => [
      key,
      key.endsWith('File') ? path.resolve(files.directory, String(value)) : value,
    ]);
    const { server } = await load(withServer({ credential }));
    expect(server.credential).toEqual(Object.fromEntries(absolute));
    expect(validate({ ...REST, ...withServer({ credential }) })).toBe(true);
  });

  const ONE = 'needs exactly one of header, bearer, basic and clientCredentials';
  it.each<[string, unknown, string]>([
    ['none', {}, `server.credential: found an empty mapping; ${ONE}`],
    ['two', { bearer: { tokenFile: 'a' }, header: { name: 'a', valueFile: 'b' } }, ONE],
    ['the header Host', { header: { name: 'Host', valueFile: 'b' } }, 'this one says how a message is read'],
    ['a header of MCP', { header: { name: 'Mcp-Session-Id', valueFile: 'b' } }, 'how a message is read'],
    ['a hop-by-hop header', { header: { name: 'Proxy-Authorization', valueFile: 'b' } }, 'how a message is'],
    [
      'no header name',
      { header: { name: 'a b', valueFile: 'b' } },
      'needs the name of a header, for example',
    ],
    [
      'an issuer and an endpoint',
      { clientCredentials: { issuer: 'https://a', tokenEndpoint: 'https://a', ...FILES } },
      'needs exactly one of issuer and tokenEndpoint',
    ],
    [
      'an endpoint in the clear',
      { clientCredentials: { tokenEndpoint: 'http://a.example', ...FILES } },
      'needs the URL of a token endpoint, https',
    ],
  ])('is refused with %s', async (_, credential, fault) => {
    expect(await faultsOf(withServer({ credential }))).toEqual([expect.stringContaining(fault)]);
  });

  it.each<unknown>([
    's3cr3t',
    { bearer: 's3cr3t' },
    { bearer: { token: 's3cr3t' } },
    { bearer: { tokenFile: 's3cr3t\n' } },
  ])('is never repeated when it stands where its file ought to: %j', async (credential) => {
    const faults = await faultsOf(withServer({ credential }));
    expect(faults.length).toBeGreaterThan(0);
    expect(faults.join()).not.toContain('s3cr3t');
  });

  it.each([
    [{ mode: 'Anonymous' }, undefined, 'Forward'],
    [{ mode: 'Observe', resource: 'https://a', oidc: [{ issuer: 'https://b' }] }, undefined, 'Forward'],
    [{ resource: 'https://a', oidc: [{ issuer: 'https://b' }] }, undefined, 'Remove'],
    [{ resource: 'https://a', oidc: [{ issuer: 'https://b' }] }, 'Forward', 'Forward'],
  ])('with %j and callerToken %s the token of the caller: %s', async (auth, callerToken, expected) => {
    const { server } = await load({ ...withServer({ callerToken }), auth });
    expect(server.callerToken).toBe(expected);
  });
});

describe('labels', () => {
  it('are texts', async () => {
    expect((await load({ labels: { environment: 'prod' } })).labels).toEqual({ environment: 'prod' });
    expect(await faultsOf({ labels: { tier: 1 } })).toEqual(['labels.tier: found 1; needs a text']);
  });
});
