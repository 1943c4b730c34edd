/**
 * Keys of a real issuer, over real connections: fetched, rotated, withdrawn, out of reach, and answered wrongly.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeCertificates } from '../support/certificates.ts';
import { type Failure, type IdentityProvider, startIdentityProvider } from '../support/identity-provider.ts';
import { eventually } from '../support/poll.ts';
import { issuerOf, MAX_KEY_AGE_MS, openScene, outcomeOf, RESOURCE, type Scene, SKEW_MS } from './scene.ts';

const UNAVAILABLE = 'issuer_unavailable: The keys of the token issuer cannot be fetched at the moment';
const UNKNOWN_KEY = 'invalid_token: The key of the access token is not known';
const BUDGET_MS = 10_000;
/** Longer than any test takes, so that tokens outlive moved clocks. */
const DAY_SECONDS = 86_400;
const aud = RESOURCE;

function startLasting(): Promise<IdentityProvider> {
  return startIdentityProvider({ tokenSeconds: DAY_SECONDS });
}

/** The issuer's health, once a fetch has failed. */
function problemOf(scene: Scene): Promise<string> {
  return eventually(() => scene.identity.issuers[0]?.problem ?? false, { withinMs: 20_000 });
}

describe('the keys of an issuer', () => {
  it('are fetched at the start, and a call that comes before waits for them', async () => {
    await using idp = await startLasting();
    const token = await idp.sign({ aud });
    using scene = openScene([issuerOf(idp.issuer)]);
    expect(scene.identity.issuers).toMatchObject([{ state: 'Unavailable', keysAgeMs: null, problem: null }]);
    expect(await outcomeOf(scene, token)).toBe('pass');
    expect(scene.identity.issuers).toMatchObject([{ issuer: idp.issuer, state: 'Ok', problem: null }]);
    expect(idp.keyFetches).toBe(1);
  });

  it('are found by RFC 8414 where there is no OpenID Connect discovery', async () => {
    await using idp = await startLasting();
    idp.withoutOpenIdDiscovery();
    using scene = openScene([issuerOf(idp.issuer)]);
    expect(await outcomeOf(scene, await idp.sign({ aud }))).toBe('pass');
  });

  it('are fetched over TLS from an issuer whose authority is configured, and from no other', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'mcp-recorder-identity-'));
    try {
      const ca = await readFile(await makeCertificates(folder), 'utf8');
      const [key, cert] = await Promise.all(
        ['private.key', 'public.crt'].map((name) => readFile(path.join(folder, name), 'utf8')),
      );
      await using idp = await startIdentityProvider({ tls: { key: key as string, cert: cert as string } });
      const token = await idp.sign({ aud });
      using trusting = openScene([issuerOf(idp.issuer, { ca })]);
      expect(await outcomeOf(trusting, token)).toBe('pass');
      using doubting = openScene([issuerOf(idp.issuer)]);
      expect(await outcomeOf(doubting, token)).toBe(UNAVAILABLE);
      expect(doubting.identity.issuers[0]?.problem).toMatch(/CERT|VERIFY/);
      idp.fail('metadata', { json: { issuer: idp.issuer, jwks_uri: 'http://127.0.0.1:1234/keys' } });
      using led = openScene([issuerOf(idp.issuer, { ca })]);
      expect(await problemOf(led)).toBe('its jwks_uri http://127.0.0.1:1234/keys is not https');
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('may be given with the configuration, and then nobody is asked', async () => {
    await using idp = await startLasting();
    using scene = openScene([issuerOf(idp.issuer, { jwks: idp.jwks() as never })]);
    expect(await outcomeOf(scene, await idp.sign({ aud }))).toBe('pass');
    await idp.rotate(false);
    expect(await outcomeOf(scene, await idp.sign({ aud }))).toBe(UNKNOWN_KEY);
    expect(idp.keyFetches).toBe(0);
    expect(scene.identity.issuers).toMatchObject([{ state: 'Ok', keysAgeMs: null }]);
  });
});

describe('when keys are rotated', () => {
  it('a token of the new key passes after one fetch, and those of the old one as long as it is published', async () => {
    await using idp = await startLasting();
    using scene = openScene([issuerOf(idp.issuer)]);
    const old = await idp.sign({ aud });
    expect(await outcomeOf(scene, old)).toBe('pass');
    await idp.rotate(true);
    expect(await outcomeOf(scene, await idp.sign({ aud }))).toBe('pass');
    expect(idp.keyFetches).toBe(2);
    expect(await outcomeOf(scene, old)).toBe('pass');
    expect(scene.logged.join()).toContain('changed');
  });

  it('a token of a key that was withdrawn is refused from the next fetch on, though it was seen before', async () => {
    await using idp = await startLasting();
    using scene = openScene([issuerOf(idp.issuer)]);
    const old = await idp.sign({ aud });
    expect(await outcomeOf(scene, old)).toBe('pass');
    await idp.rotate(false);
    expect(await outcomeOf(scene, old)).toBe('pass');
    expect(await outcomeOf(scene, await idp.sign({ aud }))).toBe('pass');
    expect(await outcomeOf(scene, old)).toBe(UNKNOWN_KEY);
  });

  it('a token that names no key is tried with all, and once more with the new ones', async () => {
    await using idp = await startLasting();
    using scene = openScene([issuerOf(idp.issuer)]);
    expect(await outcomeOf(scene, await idp.sign({ aud }, { header: { kid: undefined as never } }))).toBe(
      'pass',
    );
    await idp.rotate(false);
    expect(await outcomeOf(scene, await idp.sign({ aud }, { header: { kid: undefined as never } }))).toBe(
      'pass',
    );
    expect(idp.keyFetches).toBe(2);
  });

  it('a refusal does not outlive the keys that it was given with', async () => {
    await using idp = await startLasting();
    const before = idp.jwks();
    await idp.rotate(false);
    // The same key id with another key: some issuers name their keys so.
    const [ours] = idp.jwks().keys;
    const wrong = { keys: [{ ...before.keys[0], kid: ours?.['kid'] }] };
    idp.fail('keys', { json: wrong });
    using scene = openScene([issuerOf(idp.issuer)]);
    const token = await idp.sign({ aud });
    expect(await outcomeOf(scene, token)).toBe('invalid_token: The signature of the access token is wrong');
    idp.fail('keys', null);
    expect(await outcomeOf(scene, await idp.sign({ aud }, { header: { kid: 'makes it fetch' } }))).toBe(
      UNKNOWN_KEY,
    );
    expect(await outcomeOf(scene, token)).toBe('pass');
  });
});

describe('while an issuer is down', () => {
  it('its keys are used within the bound, and then nothing passes with that reason', async () => {
    await using idp = await startLasting();
    using scene = openScene([issuerOf(idp.issuer)]);
    const seen = await idp.sign({ aud });
    const unseen = await idp.sign({ aud, jti: 'another' });
    expect(await outcomeOf(scene, seen)).toBe('pass');
    await idp.down();
    expect(await outcomeOf(scene, await idp.sign({ aud }, { header: { kid: 'unknown' } }))).toBe(UNAVAILABLE);
    expect(scene.identity.issuers).toMatchObject([
      { state: 'Stale', problem: expect.stringContaining('ECONNREFUSED') },
    ]);

    scene.pass(MAX_KEY_AGE_MS - 60_000);
    expect(await outcomeOf(scene, seen)).toBe('pass');
    expect(await outcomeOf(scene, unseen)).toBe('pass');

    scene.pass(120_000);
    expect(await outcomeOf(scene, seen)).toBe(UNAVAILABLE);
    expect(await outcomeOf(scene, unseen)).toBe(UNAVAILABLE);
    const [health] = scene.identity.issuers;
    expect(health).toMatchObject({ state: 'Unavailable' });
    // Since the bound was passed: a minute ago, give or take what the test takes.
    expect(scene.nowMs() - (health?.sinceMs ?? 0)).toBeLessThan(120_000);
    expect(scene.logged.filter((line) => line.includes("can't be fetched"))).toHaveLength(1);

    await idp.up();
    scene.pass(BUDGET_MS);
    expect(await outcomeOf(scene, seen)).toBe('pass');
    expect(scene.identity.issuers).toMatchObject([{ state: 'Ok', problem: null }]);
    expect(scene.logged.filter((line) => line.includes('again'))).toHaveLength(1);
  });

  it('another issuer is not touched by it', async () => {
    await using idp = await startLasting();
    await using other = await startLasting();
    await other.down();
    using scene = openScene([issuerOf(other.issuer), issuerOf(idp.issuer)]);
    expect(await outcomeOf(scene, await other.sign({ aud }))).toBe(UNAVAILABLE);
    expect(await outcomeOf(scene, await idp.sign({ aud }))).toBe('pass');
  });

  it('Observe lets its callers pass as unverified', async () => {
    await using idp = await startLasting();
    await idp.down();
    using scene = openScene([issuerOf(idp.issuer)], { mode: 'Observe' });
    expect(await outcomeOf(scene, await idp.sign({ aud }))).toBe('pass');
    expect(await problemOf(scene)).toContain('ECONNREFUSED');
  });

  it('a token that expires meanwhile is expired, seen before or not', async () => {
    await using idp = await startIdentityProvider({ tokenSeconds: 300 });
    using scene = openScene([issuerOf(idp.issuer)]);
    const seen = await idp.sign({ aud });
    expect(await outcomeOf(scene, seen)).toBe('pass');
    scene.pass(300_000 + SKEW_MS);
    expect(await outcomeOf(scene, seen)).toBe('invalid_token: The access token has expired');
  });
});

describe('a flood of tokens with unknown keys', () => {
  it('makes at most one fetch in the time of the budget, and those who wait share it', async () => {
    await using idp = await startLasting();
    using scene = openScene([issuerOf(idp.issuer)]);
    const good = await idp.sign({ aud });
    expect(await outcomeOf(scene, good)).toBe('pass');
    for (const fetches of [2, 3]) {
      const strange = Array.from({ length: 200 }, (_, i) =>
        idp.sign({ aud }, { header: { kid: `k-${fetches}-${i}` } }),
      );
      const outcomes = await Promise.all(
        (await Promise.all(strange)).map((token) => outcomeOf(scene, token)),
      );
      expect(new Set(outcomes)).toEqual(new Set([UNKNOWN_KEY]));
      expect(await outcomeOf(scene, await idp.sign({ aud }, { header: { kid: 'late' } }))).toBe(UNKNOWN_KEY);
      expect(idp.keyFetches).toBe(fetches);
      scene.pass(BUDGET_MS);
    }
    expect(await outcomeOf(scene, good)).toBe('pass');
  });
});

describe('a crowd of tokens that wait for keys', () => {
  it('does not keep out a token whose key is there', async () => {
    await using idp = await startLasting();
    using scene = openScene([issuerOf(idp.issuer)]);
    const token = await idp.sign({ aud });
    expect(await outcomeOf(scene, await idp.sign({ aud, jti: 'first' }))).toBe('pass');
    idp.fail('keys', 'hang');
    const strange = await Promise.all(
      Array.from({ length: 1_024 }, (_, i) => idp.sign({ aud }, { header: { kid: `k-${i}` } })),
    );
    const outcomes = Promise.all(strange.map((other) => outcomeOf(scene, other)));
    await idp.keysFetched(2);
    expect(await outcomeOf(scene, token)).toBe('pass');
    // Those that were too many at once, and then those that waited too long.
    expect(new Set(await outcomes)).toEqual(new Set([UNAVAILABLE]));
  });
});

describe('an answer that is no good', () => {
  const KEYS: [string, Failure, RegExp][] = [
    ['keys of 10 MB', 'ten-megabytes', /answered with more than 262144 bytes/],
    ['keys by a redirect', 'redirect', /redirects \(status 302\), which is not followed/],
    ['keys that never come', 'hang', /did not answer within 5 s/],
    ['an error in place of keys', 'error', /answered with status 500/],
    ['keys that are no JSON', 'not-json', /holds no JWK Set/],
    ['keys that are no list', { json: { keys: { kty: 'RSA' } } }, /holds no JWK Set/],
  ];
  const METADATA: [string, Failure, RegExp][] = [
    ['metadata of 10 MB', 'ten-megabytes', /answered with more than 262144 bytes/],
    ['metadata by a redirect', 'redirect', /redirects \(status 302\)/],
    ['metadata that never comes', 'hang', /did not answer within 5 s/],
    ['no metadata at all', { status: 404 }, /oauth-authorization-server answered with status 404/],
    [
      'metadata of another issuer',
      { json: { issuer: 'https://evil.example', jwks_uri: 'https://evil.example/k' } },
      /./,
    ],
    ['metadata without an issuer', { json: { jwks_uri: 'https://evil.example/k' } }, /./],
  ];

  it.each([
    ...KEYS.map((of) => ['keys', ...of] as const),
    ...METADATA.map((of) => ['metadata', ...of] as const),
  ])('of the %s is refused: %s', async (what, _, failure, problem) => {
    await using idp = await startLasting();
    idp.fail(what, failure);
    using scene = openScene([issuerOf(idp.issuer)]);
    expect(await outcomeOf(scene, await idp.sign({ aud }))).toBe(UNAVAILABLE);
    expect(await problemOf(scene)).toMatch(problem);
    expect(scene.identity.issuers).toMatchObject([{ state: 'Unavailable', keysAgeMs: null }]);
    // The next good one is taken.
    idp.fail(what, null);
    scene.pass(BUDGET_MS);
    expect(await outcomeOf(scene, await idp.sign({ aud }))).toBe('pass');
  });

  it('refuses keys that would come without TLS from another machine', async () => {
    await using idp = await startLasting();
    idp.fail('metadata', { json: { issuer: idp.issuer, jwks_uri: 'http://192.0.2.1/keys' } });
    using scene = openScene([issuerOf(idp.issuer)]);
    expect(await problemOf(scene)).toBe('http://192.0.2.1/keys is neither https nor http on this machine');
  });

  it('refuses an issuer that differs in a slash only', async () => {
    await using idp = await startLasting();
    idp.fail('metadata', { json: { issuer: `${idp.issuer}/`, jwks_uri: `${idp.issuer}/jwks` } });
    using scene = openScene([issuerOf(idp.issuer)]);
    expect(await problemOf(scene)).toBe(`its metadata is of another issuer, "${idp.issuer}/"`);
  });

  it('leaves out keys that can sign nothing or are secrets, and takes the rest', async () => {
    await using idp = await startLasting();
    const secret = { kty: 'oct', k: 'c2VjcmV0', kid: 'secret' };
    const odd = [null, 7, 'key', {}, { kty: 'RSA' }, { kty: 'RSA', n: 'AQAB', e: 'AQAB', kid: 'short' }];
    idp.fail('keys', { json: { keys: [secret, ...odd, ...idp.jwks().keys] } });
    using scene = openScene([issuerOf(idp.issuer)]);
    expect(await outcomeOf(scene, await idp.sign({ aud }))).toBe('pass');
    expect(await outcomeOf(scene, await idp.sign({ aud }, { header: { kid: 'short' } }))).toBe(UNKNOWN_KEY);
  });
});

describe('another configuration', () => {
  it('goes on with the keys that were fetched, and judges anew', async () => {
    await using idp = await startLasting();
    const first = openScene([issuerOf(idp.issuer)]);
    const token = await idp.sign({ aud });
    expect(await outcomeOf(first, token)).toBe('pass');
    await idp.down();
    using next = openScene([issuerOf(idp.issuer, { groupsClaim: 'roles' })], {}, first);
    first[Symbol.dispose]();
    expect(await outcomeOf(next, token)).toBe('pass');
    using strict = openScene([issuerOf(idp.issuer)], { scopes: ['mcp:use'] }, next);
    expect(await outcomeOf(strict, token)).toContain('insufficient_scope');
    expect(idp.keyFetches).toBe(1);
    await idp.up();
    await idp.rotate(false);
    expect(await outcomeOf(next, await idp.sign({ aud }))).toBe('pass');
  });
});

describe('an identity that is closed', () => {
  it('fetches no more', async () => {
    await using idp = await startLasting();
    idp.fail('keys', 'hang');
    const scene = openScene([issuerOf(idp.issuer)]);
    const outcome = outcomeOf(scene, await idp.sign({ aud }));
    await idp.keysFetched(1);
    scene.identity.close();
    expect(await outcome).toBe(UNAVAILABLE);
    scene.pass(BUDGET_MS);
    expect(await outcomeOf(scene, await idp.sign({ aud }))).toBe(UNAVAILABLE);
    expect(idp.keyFetches).toBe(1);
  });
});
