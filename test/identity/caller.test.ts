/**
 * What a verified token says of its caller: subject, name, client, groups, scopes; whole to match, cut to record.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IssuerConfiguration } from '../../sidecar/config/access.ts';
import { kindProblem } from '../../sidecar/identity/claims.ts';
import { type IdentityProvider, startIdentityProvider } from '../support/identity-provider.ts';
import { bearer, issuerOf, openScene, outcomeOf, passedBy, RESOURCE } from './scene.ts';

let idp: IdentityProvider;
beforeAll(async () => {
  idp = await startIdentityProvider();
});
afterAll(() => idp[Symbol.asyncDispose]());

async function callerOf(claims: object, settings: Partial<IssuerConfiguration> = {}) {
  using scene = openScene([issuerOf(idp.issuer, { jwks: idp.jwks() as never, ...settings })]);
  return passedBy(scene, bearer(await idp.sign({ aud: RESOURCE, ...claims })));
}

describe('a caller', () => {
  it('is who the token says', async () => {
    const caller = await callerOf({
      sub: 'u-1',
      email: 'ada@example.com',
      client_id: 'claude',
      groups: ['dev'],
    });
    expect(caller.principal).toEqual({
      how: 'oidc',
      issuer: idp.issuer,
      subject: 'u-1',
      name: 'ada@example.com',
      client_id: 'claude',
      groups: ['dev'],
    });
    expect(JSON.parse(caller.principalJson)).toEqual(caller.principal);
    expect(caller).toMatchObject({ verified: true, claims: { sub: 'u-1', aud: RESOURCE } });
  });

  it('is the same for the same issuer and subject, and another for any other', async () => {
    const [ada, again, bob] = await Promise.all(
      [{ sub: 'ada' }, { sub: 'ada', jti: '2' }, { sub: 'bob' }].map((claims) => callerOf(claims)),
    );
    expect(ada?.key).toBe(again?.key);
    expect(ada?.key).not.toBe(bob?.key);
  });

  it('has the client of azp where there is no client_id, and no name where the claim is no text', async () => {
    const { principal } = await callerOf({ azp: 'desktop', email: { of: 'no text' } });
    expect(principal).toMatchObject({ client_id: 'desktop', name: null });
  });
});

describe('a clock that is set right', () => {
  it('lets a token pass that had expired by the wrong one', async () => {
    using scene = openScene([issuerOf(idp.issuer, { jwks: idp.jwks() as never })]);
    const token = await idp.sign({ aud: RESOURCE, sub: 'ada' });
    scene.pass(86_400_000);
    expect(await outcomeOf(scene, token)).toBe('invalid_token: The access token has expired');
    scene.pass(-86_400_000);
    expect(await outcomeOf(scene, token)).toBe('pass');
  });
});

describe('groups', () => {
  it.each([
    ['groups', { groups: ['a', 'b'] }, ['a', 'b']],
    ['groups', { groups: 'a' }, ['a']],
    ['groups', {}, []],
    ['groups', { groups: [1, 'a', null, ['b'], ''] }, ['a']],
    ['groups', { groups: { a: true } }, []],
    ['realm_access.roles', { realm_access: { roles: ['admin'] } }, ['admin']],
    ['https://example.com/groups', { 'https://example.com/groups': ['a'] }, ['a']],
    ['cognito:groups', { 'cognito:groups': ['a'] }, ['a']],
    ['/resource_access/my.client/roles', { resource_access: { 'my.client': { roles: ['r'] } } }, ['r']],
    ['/a~1b/c~0d', { 'a/b': { 'c~d': ['e'] } }, ['e']],
    ['a.b', { 'a.b': ['whole'], a: { b: ['path'] } }, ['whole']],
    ['constructor.name', {}, []],
    [null, { groups: ['a'] }, []],
  ])('at %s', async (groupsClaim, claims, groups) => {
    const caller = await callerOf(claims, { groupsClaim });
    expect(caller.groups).toEqual(groups);
    expect(caller.principal.groups).toEqual(groups);
  });

  it('are matched whole, and recorded up to a hundred of them and 1 KiB of each', async () => {
    const groups = Array.from({ length: 150 }, (_, i) => `g-${i}`);
    const many = await callerOf({ groups });
    expect(many.groups).toEqual(groups);
    expect(many.principal).toMatchObject({ groups: groups.slice(0, 100), cut: true });
    const long = await callerOf({ groups: ['é'.repeat(1000)], sub: 's'.repeat(2000) });
    expect(long.groups).toEqual(['é'.repeat(1000)]);
    expect(long.principal).toMatchObject({ groups: ['é'.repeat(512)], subject: 's'.repeat(1024), cut: true });
    expect(long.key).toContain('s'.repeat(2000));
    expect((await callerOf({ groups: ['a'] })).principal).not.toHaveProperty('cut');
  });
});

describe('scopes', () => {
  it.each([
    [{ scope: 'a b' }, ['a', 'b']],
    [{ scp: 'a b' }, ['a', 'b']],
    [{ scp: ['a', 'b'] }, ['a', 'b']],
    [{ scope: 'a', scp: ['b', 'a'] }, ['a', 'b']],
    [{ scope: '  a  ' }, ['a']],
    [{ scope: 7 }, []],
    [{}, []],
  ])('of %j', async (claims, scopes) => {
    expect((await callerOf(claims)).scopes).toEqual(scopes);
  });

  it('are needed all: of the resource and of the issuer', async () => {
    const issuer = issuerOf(idp.issuer, { jwks: idp.jwks() as never, scopes: ['extra'] });
    using scene = openScene([issuer], { scopes: ['mcp:use'] });
    const some = await idp.sign({ aud: RESOURCE, scope: 'mcp:use', sub: 'ada' });
    for (const _ of ['looked at', 'remembered']) {
      const found = await scene.identity.identify(bearer(some));
      if (found.verdict !== 'refuse') throw new Error('it was not refused');
      expect(found.reason).toBe('insufficient_scope');
      expect(found.caller?.principal.subject).toBe('ada');
      expect(found.headers['WWW-Authenticate']).toContain('scope="mcp:use extra"');
    }
    expect(await outcomeOf(scene, await idp.sign({ aud: RESOURCE, scope: 'extra mcp:use' }))).toBe('pass');
  });
});

describe('a service account of Kubernetes', () => {
  it('is named and grouped as the API server does', async () => {
    const sub = 'system:serviceaccount:tools:agent';
    const issuer = issuerOf('https://kubernetes.default.svc.cluster.local', {
      how: 'kubernetes',
      jwks: idp.jwks() as never,
      groupsClaim: null,
      nameClaim: null,
    });
    using scene = openScene([issuer]);
    const claims = {
      iss: issuer.issuer,
      sub,
      aud: [RESOURCE],
      'kubernetes.io': { namespace: 'tools', serviceaccount: { name: 'agent', uid: 'u' } },
    };
    const { principal, groups } = await passedBy(
      scene,
      bearer(await idp.sign(claims, { header: { typ: undefined as never } })),
    );
    expect(principal).toEqual({
      how: 'kubernetes',
      issuer: issuer.issuer,
      subject: sub,
      name: sub,
      client_id: null,
      groups: ['system:serviceaccounts', 'system:serviceaccounts:tools'],
    });
    expect(groups).toEqual(principal.groups);
  });
});

describe('a token is taken for an access token', () => {
  it.each([
    ['at+jwt', { nonce: 'n' }, true],
    ['AT+JWT', {}, true],
    ['JWT', { nonce: 'n', typ: 'Bearer' }, true],
    ['JWT', { token_use: 'access' }, true],
    [undefined, {}, true],
    ['JWT', { nonce: 'n' }, false],
    [undefined, { nonce: 'n' }, false],
    ['at+jwt', { at_hash: 'h' }, false],
    ['JWT', { c_hash: 'h' }, false],
    ['JWT', { s_hash: 'h' }, false],
    ['JWT', { typ: 'ID' }, false],
    ['JWT', { typ: 'Refresh' }, false],
    ['JWT', { token_use: 'id' }, false],
    ['JWT', { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }, false],
    ['oauth-id-jag+jwt', {}, false],
    ['id_token', {}, false],
    ['', {}, false],
    [7, {}, false],
    [null, {}, false],
  ])('with type %j and %j: %s', (typ, claims, isAccessToken) => {
    expect(kindProblem(typ, claims) === null).toBe(isAccessToken);
  });
});
