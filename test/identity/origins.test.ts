/**
 * Browsers: which pages may call in which mode, and what the recorder's own answers let them read.
 */
import { describe, expect, it } from 'vitest';
import { createAnonymousIdentity } from '../../sidecar/identity/anonymous.ts';
import { metadataUrl } from '../../sidecar/identity/own-words.ts';
import { headOf, issuerOf, openScene, type Scene } from './scene.ts';

const PAGE = 'https://app.example.com';
const KUBERNETES = issuerOf('https://kubernetes.default.svc', { how: 'kubernetes', jwks: { keys: [] } });
const GIVEN = issuerOf('https://idp.example.com', { jwks: { keys: [] } });

function preflight(headers: Record<string, string> = {}) {
  return headOf({ Origin: PAGE, 'Access-Control-Request-Method': 'POST', ...headers }, { method: 'OPTIONS' });
}

function metadataOf(scene: Scene): Record<string, unknown> {
  const found = scene.identity.identify(
    headOf([], { method: 'GET', target: '/.well-known/oauth-protected-resource' }),
  );
  return 'body' in found ? JSON.parse(found.body ?? '') : {};
}

describe('origins', () => {
  it.each(['Enforce', 'Observe', 'Anonymous'] as const)('that are not listed are refused with %s', (mode) => {
    using scene = openScene([GIVEN], { mode, allowedOrigins: [PAGE] });
    for (const headers of [
      ['Origin', 'https://evil.example'],
      ['Origin', PAGE, 'origin', PAGE],
      ['Origin', ''],
    ]) {
      expect(scene.identity.identify(headOf(headers))).toMatchObject({
        verdict: 'refuse',
        reason: 'forbidden_origin',
        body: null,
      });
    }
    const listed = scene.identity.identify(headOf({ Origin: PAGE }));
    expect(listed).toMatchObject(mode === 'Enforce' ? { reason: 'no_token' } : { verdict: 'pass' });
    expect(scene.identity.identify(headOf([]))).toMatchObject(
      mode === 'Enforce' ? { reason: 'no_token' } : { verdict: 'pass' },
    );
  });

  it('are not looked at without a list', () => {
    using scene = openScene([GIVEN]);
    expect(scene.identity.identify(headOf({ Origin: PAGE }))).toMatchObject({
      reason: 'no_token',
      headers: { 'Access-Control-Allow-Origin': '*', 'Access-Control-Expose-Headers': 'WWW-Authenticate' },
    });
    expect(scene.identity.identify(preflight())).toMatchObject({
      status: 204,
      headers: { 'Access-Control-Allow-Origin': '*' },
    });
  });
});

describe('a preflight', () => {
  it('gets back the headers that were asked for, within bounds', () => {
    using scene = openScene([GIVEN], { allowedOrigins: [PAGE] });
    const allowed = (names: string) => {
      const found = scene.identity.identify(preflight({ 'Access-Control-Request-Headers': names }));
      return 'headers' in found ? found.headers['Access-Control-Allow-Headers'] : null;
    };
    expect(allowed('authorization,x-own')).toBe('authorization,x-own');
    const usual = allowed('');
    expect(usual).toContain('Mcp-Session-Id');
    expect(allowed(`x-${'a'.repeat(3000)}`)).toBe(usual);
    expect(allowed('a\r\nSet-Cookie: b')).toBe(usual);
  });

  it.each(['Observe', 'Anonymous'] as const)('passes with %s: it is for the server', (mode) => {
    using scene = openScene([GIVEN], { mode });
    expect(scene.identity.identify(preflight())).toMatchObject({ verdict: 'pass' });
    const target = '/.well-known/oauth-protected-resource';
    expect(scene.identity.identify(headOf([], { method: 'GET', target }))).toMatchObject({ verdict: 'pass' });
  });
});

describe('metadata', () => {
  it.each([
    ['https://mcp.example.com/github', 'https://mcp.example.com/.well-known/oauth-protected-resource/github'],
    ['https://mcp.example.com', 'https://mcp.example.com/.well-known/oauth-protected-resource'],
    ['https://mcp.example.com/', 'https://mcp.example.com/.well-known/oauth-protected-resource'],
    [
      'https://mcp.example.com:8443/a/b?c=d',
      'https://mcp.example.com:8443/.well-known/oauth-protected-resource/a/b?c=d',
    ],
  ])('of %s is at %s', (resource, url) => {
    expect(metadataUrl(resource)).toBe(url);
  });

  it('names issuers from which clients can have tokens, each once, and a cluster only when there is no other', () => {
    using both = openScene([KUBERNETES, GIVEN]);
    expect(metadataOf(both)['authorization_servers']).toEqual(['https://idp.example.com']);
    using cluster = openScene([KUBERNETES]);
    expect(metadataOf(cluster)['authorization_servers']).toEqual(['https://kubernetes.default.svc']);
    expect(metadataOf(cluster)).not.toHaveProperty('scopes_supported');
  });
});

describe('Anonymous', () => {
  it('looks at no token, and says so', () => {
    const identity = createAnonymousIdentity(null);
    const found = identity.identify(headOf({ Authorization: 'Bearer x' }));
    expect(found).toMatchObject({
      verdict: 'pass',
      caller: {
        key: 'anonymous',
        verified: false,
        principal: { how: 'anonymous', issuer: null, groups: [] },
      },
    });
    expect(identity.issuers).toEqual([]);
  });
});
