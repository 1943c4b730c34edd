/**
 * The identity provider of tests does what tests expect of it.
 */
import { createHash, randomUUID } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { describe, expect, it } from 'vitest';
import { startIdentityProvider } from './identity-provider.ts';

const resource = 'https://mcp.example.com/github';

describe('the identity provider of tests', () => {
  it('gives access tokens for a resource, to programs and to people', async () => {
    await using idp = await startIdentityProvider();
    const token = await idp.machineToken({ resource });
    expect(decodeProtectedHeader(token)).toMatchObject({ typ: 'at+jwt', alg: 'RS256' });
    expect(decodeJwt(token)).toMatchObject({
      iss: idp.issuer,
      aud: resource,
      scope: 'mcp:use',
      sub: 'machine',
    });
    idp.signInAs('bob');
    const { access_token, id_token } = await idp.userTokens({ resource });
    expect(decodeJwt(access_token)).toMatchObject({
      aud: resource,
      sub: 'bob',
      groups: ['dev'],
      client_id: 'desktop',
    });
    expect(decodeJwt(id_token as string)).toMatchObject({ aud: 'desktop', sub: 'bob' });
  });

  it('takes clients that register themselves, and knows them after its keys were rotated', async () => {
    await using idp = await startIdentityProvider({ algorithm: 'ES256' });
    const redirect_uri = 'http://127.0.0.1:3334/oauth/callback';
    const wanted = {
      redirect_uris: [redirect_uri],
      token_endpoint_auth_method: 'none',
      application_type: 'native',
    };
    const headers = { 'Content-Type': 'application/json' };
    const registered = await fetch(`${idp.issuer}/reg`, {
      method: 'POST',
      headers,
      body: JSON.stringify(wanted),
    });
    const { client_id } = (await registered.json()) as { client_id: string };
    await idp.rotate(false);
    const code_verifier = randomUUID() + randomUUID();
    const url = new URL(`${idp.issuer}/auth`);
    url.search = new URLSearchParams({
      client_id,
      redirect_uri,
      response_type: 'code',
      scope: 'mcp:use',
      resource,
      code_challenge: createHash('sha256').update(code_verifier).digest('base64url'),
      code_challenge_method: 'S256',
    }).toString();
    const code = (await idp.authorize(url)).searchParams.get('code') as string;
    const form = { grant_type: 'authorization_code', client_id, redirect_uri, code, code_verifier, resource };
    const response = await fetch(`${idp.issuer}/token`, { method: 'POST', body: new URLSearchParams(form) });
    const { access_token } = (await response.json()) as { access_token: string };
    expect(decodeJwt(access_token)).toMatchObject({ aud: resource, scope: 'mcp:use', sub: 'ada', client_id });
    const { kid } = decodeProtectedHeader(access_token);
    expect(idp.jwks().keys.map((key) => key['kid'])).toContain(kid);
  });
});
