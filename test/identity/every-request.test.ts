/**
 * No request passes without a verified token, whatever its method, target and headers are; and what callers send bounds nothing but itself.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RequestHead } from '../../sidecar/identity/identity.ts';
import { type IdentityProvider, startIdentityProvider } from '../support/identity-provider.ts';
import { bearer, headOf, issuerOf, openScene, passedBy, RESOURCE, type Scene } from './scene.ts';

let idp: IdentityProvider;
let scene: Scene;
let good: string;
let bad: string[];
const aud = RESOURCE;

beforeAll(async () => {
  idp = await startIdentityProvider();
  scene = openScene([issuerOf(idp.issuer, { jwks: idp.jwks() as never })]);
  good = await idp.sign({ aud });
  const [header = '', payload = '', signature = ''] = good.split('.');
  bad = [
    await idp.sign({ aud: 'https://other' }),
    await idp.sign({ aud, exp: 1 }),
    await idp.sign({ aud, iss: 'https://evil.example' }),
    `${header}.${payload}.`,
    `${header}.${payload}.${signature.slice(0, -4)}AAAA`,
    `${header}.${payload}`,
    `${payload}.${header}.${signature}`,
    `${good}.${signature}`,
    'x',
    '',
  ];
});
afterAll(async () => {
  scene[Symbol.dispose]();
  await idp[Symbol.asyncDispose]();
});

const METHOD = fc.constantFrom(
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'PROPFIND',
  'get',
);
const PATHS = [
  '/',
  '/github',
  '*',
  '//x',
  '/.well-known/oauth-protected-resource',
  '/.well-known/oauth-protected-resource/github/',
  'http://mcp.example.com/github',
];
const TARGET = fc
  .tuple(
    fc.constantFrom(...PATHS),
    fc.constantFrom('', '?', '?a=b', '?access_token=', '?access%5ftoken=x', '?x&access_token=y'),
  )
  .map((parts) => parts.join(''));
const NAME = fc.constantFrom(
  'Authorization',
  'authorization',
  'AUTHORIZATION',
  'Authorization ',
  'Proxy-Authorization',
  'X-Authorization',
  'Cookie',
  'Mcp-Session-Id',
  'Origin',
  'Access-Control-Request-Method',
  'X-Forwarded-User',
);
const SCHEME = fc.constantFrom(
  'Bearer ',
  'bearer ',
  'Bearer',
  'Bearer  ',
  'Bearer\t',
  'DPoP ',
  'Basic ',
  'Token ',
  'Bearer token=',
  '',
);

/** Headers made of good tokens and bad ones, in every form. */
const HEADER = fc.tuple(
  NAME,
  SCHEME,
  fc.nat(),
  fc.boolean(),
  fc.constantFrom('', ' ', ',', ', Bearer x', '\u00a0'),
);

function headFrom(
  method: string,
  target: string,
  made: [string, string, number, boolean, string][],
): RequestHead {
  const rawHeaders = made.flatMap(([name, scheme, pick, isGood, end]) => [
    name,
    `${scheme}${isGood ? good : (bad[pick % bad.length] as string)}${end}`,
  ]);
  return headOf(rawHeaders, { method, target });
}

/** The one form in which the good token counts. */
function carriesGoodToken({ rawHeaders, target }: RequestHead): boolean {
  const values = rawHeaders.filter(
    (_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === 'authorization',
  );
  const [value = ''] = values;
  const isBearer = value.slice(0, 7).toLowerCase() === 'bearer ' && value.slice(7) === good;
  return values.length === 1 && isBearer && !/access(_|%5f)token/.test(target);
}

describe('with Enforce', () => {
  it('a request passes exactly when one header carries a verified token', async () => {
    let passed = 0;
    const property = fc.asyncProperty(METHOD, TARGET, fc.array(HEADER, { maxLength: 4 }), async (...made) => {
      const head = headFrom(...made);
      const found = await scene.identity.identify(head);
      if (found.verdict === 'pass') {
        expect(found.caller).toMatchObject({ verified: true, principal: { subject: 'ada' } });
        expect(carriesGoodToken(head)).toBe(true);
        passed += 1;
      } else if (found.verdict === 'refuse') {
        expect(carriesGoodToken(head)).toBe(false);
        expect(JSON.stringify(found)).not.toContain(good.split('.')[2]);
      }
    });
    await fc.assert(property, { numRuns: 2_000 });
    expect(passed).toBeGreaterThan(0);
  });

  it('headers of any text never pass and never throw', async () => {
    const value = fc.oneof(
      fc.string(),
      fc.string().map((text) => `Bearer ${text}`),
      fc.base64String().map((text) => `Bearer ${text}`),
    );
    const jwtLike = fc
      .array(fc.oneof(fc.json(), fc.string()), { minLength: 1, maxLength: 5 })
      .map((parts) => `Bearer ${parts.map((text) => Buffer.from(text).toString('base64url')).join('.')}`);
    const property = fc.asyncProperty(fc.oneof(value, jwtLike), async (text) => {
      const found = await scene.identity.identify(headOf({ Authorization: text }));
      expect(found.verdict).toBe('refuse');
    });
    await fc.assert(property, { numRuns: 1_000 });
  });

  it('headers and claims of a signed token in any form never throw', async () => {
    const property = fc.asyncProperty(
      fc.dictionary(
        fc.constantFrom(
          'scope',
          'scp',
          'groups',
          'email',
          'nbf',
          'iat',
          'client_id',
          'azp',
          'cnf',
          'nonce',
          'typ',
          'sub',
        ),
        fc.jsonValue(),
      ),
      async (claims) => {
        const found = await scene.identity.identify(bearer(await idp.sign({ aud, ...claims } as never)));
        expect(['pass', 'refuse']).toContain(found.verdict);
      },
    );
    await fc.assert(property, { numRuns: 200 });
  });
});

describe('what is remembered', () => {
  it('answers at once for a token that was seen, good or bad', async () => {
    const tampered = `${good.slice(0, -8)}AAAAAAAA`;
    await scene.identity.identify(bearer(good));
    await scene.identity.identify(bearer(tampered));
    expect(scene.identity.identify(bearer(good))).toMatchObject({ verdict: 'pass' });
    expect(scene.identity.identify(bearer(tampered))).toMatchObject({ verdict: 'refuse' });
    expect(scene.identity.identify(headOf([]))).toMatchObject({ verdict: 'refuse' });
  });

  it('shares the look at a token among those who bring it at the same time', async () => {
    const token = await idp.sign({ aud, jti: 'shared' });
    const callers = await Promise.all(Array.from({ length: 50 }, () => passedBy(scene, bearer(token))));
    expect(new Set(callers).size).toBe(1);
  });

  it('is not pushed out by bad tokens, and a crowd of them is answered 503 in part', async () => {
    await scene.identity.identify(bearer(good));
    const [head = '', payload = ''] = good.split('.');
    const forged = Array.from(
      { length: 3_000 },
      (_, i) => `${head}.${payload}.${Buffer.alloc(256, `forged ${i} `).toString('base64url')}`,
    );
    const all = await Promise.all(forged.map((token) => scene.identity.identify(bearer(token))));
    const reasons = all.map((found) => (found.verdict === 'refuse' ? found.reason : found.verdict));
    expect(new Set(reasons)).toEqual(new Set(['invalid_token', 'issuer_unavailable']));
    expect(scene.identity.identify(bearer(good))).toMatchObject({ verdict: 'pass' });
  });
});
