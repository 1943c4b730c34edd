import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CredentialConfiguration } from '../../sidecar/config/access.ts';
import type { UpstreamCredential } from '../../sidecar/credential/credential.ts';
import { makeCertificates } from '../support/certificates.ts';
import { RESOURCE, startProvider, type TestProvider } from './provider.ts';
import { createScene, type Scene } from './scene.ts';

const SECRET = 'correct-horse-battery';
const OTHER_SECRET = 'correct-horse-staple';

let scene: Scene;
let provider: TestProvider;
beforeEach(async () => {
  scene = await createScene();
  provider = await startProvider();
  provider.secrets.set('recorder', SECRET);
});
afterEach(async () => {
  await provider.close();
  const words = scene.words();
  for (const secret of ['correct-horse', Buffer.from(`recorder:${SECRET}`).toString('base64'), 'eyJ']) {
    expect(words).not.toContain(secret);
  }
  await scene.remove();
});

async function credentialOf(changes: object = {}): Promise<UpstreamCredential> {
  return scene.credential({
    kind: 'clientCredentials',
    issuer: provider.issuer,
    tokenEndpoint: null,
    clientIdFile: await scene.write('id', 'recorder\n'),
    clientSecretFile: await scene.write('secret', `${SECRET}\n`),
    scope: 'mcp:use',
    resource: RESOURCE,
    ca: null,
    ...changes,
  } as CredentialConfiguration);
}

function claimsOf(value: string): Record<string, unknown> {
  const payload = /^Authorization: Bearer [\w-]+\.([\w-]+)\./.exec(value)?.[1] ?? '';
  return JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
}

describe('an access token by client credentials', () => {
  it('is for the resource and of the scope (RFC 6749 4.4, RFC 8707 2), from a discovered endpoint', async () => {
    const claims = claimsOf(await scene.value(await credentialOf()));
    expect(claims).toMatchObject({ client_id: 'recorder', aud: RESOURCE, scope: 'mcp:use' });
    expect(provider.seen).toEqual(['GET /.well-known/openid-configuration', 'POST /token']);
  });

  it('is asked for at a given endpoint without discovery', async () => {
    await scene.value(await credentialOf({ issuer: null, tokenEndpoint: provider.tokenEndpoint }));
    expect(provider.seen).toEqual(['POST /token']);
  });

  it('is found by RFC 8414 where there is no OpenID Connect', async () => {
    provider.door = (request, response) => {
      if (request.url === '/token') return provider.pass(request, response);
      if (request.url === '/.well-known/openid-configuration') return void response.writeHead(404).end();
      const metadata = { issuer: provider.issuer, token_endpoint: provider.tokenEndpoint };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(metadata));
    };
    await scene.value(await credentialOf());
    expect(provider.seen).toEqual([
      'GET /.well-known/openid-configuration',
      'GET /.well-known/oauth-authorization-server',
      'POST /token',
    ]);
  });

  it('is given to a client that is registered for client_secret_post too', async () => {
    provider.authMethod = 'client_secret_post';
    expect(claimsOf(await scene.value(await credentialOf()))).toMatchObject({ client_id: 'recorder' });
  });

  it('comes over TLS from a provider whose authority was given', async () => {
    await provider.close();
    const caFile = await makeCertificates(path.join(scene.folder, 'tls'));
    const pem = (name: string) => fs.readFileSync(path.join(path.dirname(caFile), name), 'utf8');
    provider = await startProvider({ tls: { key: pem('private.key'), cert: pem('public.crt') } });
    provider.secrets.set('recorder', SECRET);
    await scene.value(await credentialOf({ ca: pem('ca.crt') }));
    await expect(scene.value(await credentialOf())).rejects.toThrow(
      /could not be reached \((UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_GET_ISSUER_CERT_LOCALLY)\)/,
    );
  });

  it('is asked for once for requests that come together, and is used until 80 % of its life', async () => {
    const credential = await credentialOf();
    const values = await Promise.all([1, 2, 3].map(() => scene.value(credential)));
    scene.pass(470_000);
    values.push(await scene.value(credential));
    expect(new Set(values).size).toBe(1);
    expect(provider.given).toHaveLength(1);
  });

  it('is renewed in the background, while the old one is used', async () => {
    const credential = await credentialOf();
    const first = await scene.value(credential);
    let arrived = (): void => {};
    const asked = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    let letIn = (): void => {};
    provider.door = (request, response) => {
      letIn = () => {
        provider.door = null;
        provider.pass(request, response);
      };
      arrived();
    };
    scene.pass(481_000);
    expect(await scene.value(credential)).toBe(first);
    await asked;
    expect(await scene.value(credential)).toBe(first);
    const issued = provider.nextToken();
    letIn();
    await issued;
    await expect.poll(() => scene.value(credential)).not.toBe(first);
    expect(provider.given).toHaveLength(2);
  });

  it('is given up before it ends, and then a request waits for the next', async () => {
    const credential = await credentialOf();
    const first = await scene.value(credential);
    scene.pass(571_000);
    expect(await scene.value(credential)).not.toBe(first);
  });

  it('is used while it is good when the provider is down, and then the reason is told', async () => {
    const credential = await credentialOf();
    const first = await scene.value(credential);
    await provider.close();
    scene.pass(481_000);
    expect(await scene.value(credential)).toBe(first);
    await expect.poll(() => credential.problem).toMatch(/could not be reached \(ECONNREFUSED\)/);
    expect(await scene.value(credential)).toBe(first);
    scene.pass(90_000);
    await expect(scene.value(credential)).rejects.toThrow(
      /^no access token: http:\/\/127\.0\.0\.1:\d+\/\.well-known\/openid-configuration could not be reached \(ECONNREFUSED\)$/,
    );
  });

  it('is not asked for again before a pause when it was refused, and then it is', async () => {
    const credential = await credentialOf();
    provider.secrets.set('recorder', OTHER_SECRET);
    const refused =
      /\/token answered with invalid_client, status 401; check the values in \S+id and \S+secret$/;
    await expect(scene.value(credential)).rejects.toThrow(refused);
    const { length } = provider.seen;
    scene.pass(499);
    await expect(scene.value(credential)).rejects.toThrow(refused);
    expect(provider.seen).toHaveLength(length);
    provider.secrets.set('recorder', SECRET);
    scene.pass(501);
    await scene.value(credential);
    expect(credential.problem).toBeNull();
    expect(scene.logs).toHaveLength(2);
  });

  it('is asked for at once with a changed secret', async () => {
    const credential = await credentialOf();
    const first = await scene.value(credential);
    provider.secrets.set('recorder', OTHER_SECRET);
    await scene.write('secret', OTHER_SECRET);
    scene.pass(1_000);
    expect(await scene.value(credential)).not.toBe(first);
  });

  it('is asked for at once with a changed secret though the last try failed a moment ago', async () => {
    const credential = await credentialOf();
    provider.secrets.set('recorder', OTHER_SECRET);
    await expect(scene.value(credential)).rejects.toThrow(/invalid_client/);
    scene.pass(10_000);
    await expect(scene.value(credential)).rejects.toThrow(/invalid_client/);
    await scene.write('secret', OTHER_SECRET);
    // The files are looked at, and the pause after the second failure has not passed.
    scene.pass(1_000);
    await scene.value(credential);
  });

  it('stays in use when the secret was changed before the provider knows it', async () => {
    const credential = await credentialOf();
    const first = await scene.value(credential);
    await scene.write('secret', OTHER_SECRET);
    scene.pass(1_000);
    expect(await scene.value(credential)).toBe(first);
    expect(credential.problem).toMatch(/invalid_client/);
  });

  it('is renewed when the server refuses it, but not again and again', async () => {
    const credential = await credentialOf();
    const first = await scene.value(credential);
    scene.pass(29_000);
    credential.refused();
    expect(await scene.value(credential)).toBe(first);
    scene.pass(1_000);
    credential.refused();
    await expect.poll(() => scene.value(credential)).not.toBe(first);
    credential.refused();
    await scene.value(credential);
    expect(provider.given).toHaveLength(2);
  });

  it('is not used for another client', async () => {
    const credential = await credentialOf();
    await scene.value(credential);
    await scene.write('id', 'stranger');
    scene.pass(1_000);
    await expect(scene.value(credential)).rejects.toThrow(/invalid_client/);
  });

  it('is used when the files of the secret are gone, while it is good', async () => {
    const credential = await credentialOf();
    const first = await scene.value(credential);
    fs.rmSync(path.join(scene.folder, 'secret'));
    scene.pass(100_000);
    expect(await scene.value(credential)).toBe(first);
    expect(credential.problem).toMatch(/secret is not there/);
    scene.pass(500_000);
    await expect(scene.value(credential)).rejects.toThrow(/secret is not there/);
  });

  it('lives for at least one request, however short its life is', async () => {
    provider.lifeS = 1;
    const credential = await credentialOf();
    await scene.value(credential);
    scene.pass(1_000);
    await scene.value(credential);
    expect(provider.given).toHaveLength(2);
  });
});

describe('a provider that misbehaves', () => {
  const json = { 'content-type': 'application/json' };
  const echo = JSON.stringify({ error: SECRET, error_description: SECRET });

  it.each<[string, number, Record<string, string>, string, RegExp]>([
    [
      'redirects',
      307,
      { location: `https://evil.example/?${SECRET}` },
      '',
      /\/token redirects \(status 307\)/,
    ],
    ['answers without end', 200, json, `"${' '.repeat(300_000)}"`, /with more than 262144 bytes/],
    ['answers no JSON', 200, json, SECRET, /\/token answered, but not as RFC 6749 5\.1/],
    ['answers HTML', 200, { 'content-type': 'text/html' }, `<p>${SECRET}`, /not as RFC 6749 5\.1/],
    [
      'gives another kind of token',
      200,
      json,
      '{"access_token":"x","token_type":"mac"}',
      /not as RFC 6749 5\.1/,
    ],
    [
      'gives a token of two lines',
      200,
      json,
      '{"access_token":"x\\ny","token_type":"bearer"}',
      /stand in a header/,
    ],
    ['fails', 500, {}, SECRET, /\/token answered with status 500$/],
    ['repeats the secret in its error', 400, json, echo, /\/token answered with status 400$/],
    [
      'repeats the secret in a challenge',
      401,
      { 'www-authenticate': `Basic realm="${SECRET}"` },
      '',
      /status 401/,
    ],
  ])('is refused when it %s', async (_, status, headers, body, problem) => {
    provider.door = (request, response) => {
      if (request.url !== '/token') return provider.pass(request, response);
      response.writeHead(status, headers).end(body);
    };
    await expect(scene.value(await credentialOf())).rejects.toThrow(problem);
    expect(provider.seen.filter((seen) => seen !== 'POST /token')).toHaveLength(1);
  });

  it.each<[string, object, RegExp]>([
    [
      'another issuer',
      { issuer: 'https://other.example' },
      /names another issuer than the one that was asked/,
    ],
    [
      'an endpoint that anybody on the way can read',
      { token_endpoint: 'http://idp.example.com/token' },
      /http:\/\/idp\.example\.com\/token is neither https nor http on this machine/,
    ],
    ['no endpoint', { token_endpoint: undefined }, /http:\/\/127\.0\.0\.1:\d+ has no token endpoint$/],
    [
      'no way for a client secret',
      { token_endpoint_auth_methods_supported: ['private_key_jwt'] },
      /takes no client secrets/,
    ],
  ])('is refused when its metadata say %s', async (_, changes, problem) => {
    provider.door = (_request, response) => {
      const metadata = { issuer: provider.issuer, token_endpoint: provider.tokenEndpoint, ...changes };
      response.writeHead(200, json).end(JSON.stringify(metadata));
    };
    await expect(scene.value(await credentialOf())).rejects.toThrow(problem);
    expect(provider.seen).not.toContain('POST /token');
  });

  it('is given up when it hangs, and no process was told a secret by arguments or environment', async () => {
    let arrived = (): void => {};
    const asked = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    provider.door = () => arrived();
    const value = scene.value(await credentialOf());
    value.catch(() => {});
    await asked;
    const processes = fs
      .readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => {
        const read = (file: string): string => {
          try {
            return fs.readFileSync(`/proc/${pid}/${file}`, 'utf8');
          } catch {
            return '';
          }
        };
        return { line: read('cmdline'), environment: read('environ') };
      })
      .filter(({ line }) => line.includes('credential/fetch-token'));
    expect(processes).not.toHaveLength(0);
    expect(processes.filter(({ line }) => line.includes('correct-horse'))).toEqual([]);
    expect(new Set(processes.map(({ environment }) => environment))).toEqual(new Set(['']));
    await expect(value).rejects.toThrow(/openid-configuration did not answer within 10 s/);
  });
});
