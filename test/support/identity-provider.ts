/**
 * Owns a real identity provider (`oidc-provider`) on loopback that tests rotate, break and take tokens from.
 * Invariant: it keeps its issuer for as long as it lives, also while it is down.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWTHeaderParameters, type JWTPayload, SignJWT } from 'jose';
import { type JWK, Provider } from 'oidc-provider';
import { DESKTOP, MACHINE, providerConfiguration, type Settings } from './identity-provider-settings.ts';
import { createStorage } from './identity-provider-storage.ts';

/** How its metadata or its keys are answered, other than rightly. */
export type Failure =
  | 'hang'
  | 'redirect'
  | 'ten-megabytes'
  | 'error'
  | 'not-json'
  | { status: number }
  /** This JSON in place of it. */
  | { json: unknown };

export interface Tokens {
  access_token: string;
  id_token?: string;
  refresh_token?: string;
}

export interface SigningOptions {
  header?: Partial<JWTHeaderParameters>;
  algorithm?: 'RS256' | 'ES256';
}

export interface IdentityProvider {
  readonly issuer: string;
  /** Its public keys, as it publishes them now. */
  jwks(): { keys: JWK[] };
  /** Who signs in from now on: a name of PEOPLE. */
  signInAs(person: string): void;
  /** A token of `client_credentials`. */
  machineToken(of: {
    resource: string;
    scope?: string;
    client?: { id: string; secret: string };
  }): Promise<string>;
  /** The whole authorization code flow of the client `desktop`, with PKCE. */
  userTokens(of: { resource: string; scope?: string }): Promise<Tokens>;
  /** Follows an authorization URL as a browser does in which the person clicks on yes: the URL with the code that it ends at, unvisited. */
  authorize(url: string | URL): Promise<URL>;
  /** A token that the provider would not make, signed with its key. A claim that is `undefined` is left out. */
  sign(claims: JWTPayload, options?: SigningOptions): Promise<string>;
  /** New keys, which sign from now on. @param keepOld whether the old ones are published still */
  rotate(keepOld: boolean): Promise<void>;
  /** What becomes of requests for its metadata, or for its keys; null: they are answered rightly. */
  fail(what: 'metadata' | 'keys', how: Failure | null): void;
  /** Only RFC 8414 metadata, no OpenID Connect discovery. */
  withoutOpenIdDiscovery(): void;
  /** How often its keys were asked for. */
  readonly keyFetches: number;
  /** Resolves when the keys were asked for so often. */
  keysFetched(times: number): Promise<void>;
  /** Refuses connections, until `up`. */
  down(): Promise<void>;
  up(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface IdentityProviderOptions {
  port?: number;
  tokenSeconds?: number;
  algorithm?: Settings['algorithm'];
  /** The resource of tokens for which none was asked for. */
  defaultResource?: string;
  /** PEM, for an issuer with https. */
  tls?: { key: string; cert: string };
}

const HOST = '127.0.0.1';
const METADATA = /^\/\.well-known\/(openid-configuration|oauth-authorization-server)/;
const KEYS = /^\/jwks/;

export async function startIdentityProvider(
  options: IdentityProviderOptions = {},
): Promise<IdentityProvider> {
  const { tls, tokenSeconds = 300, algorithm = 'RS256', defaultResource: resource } = options;
  const failures: Record<'metadata' | 'keys', Failure | null> = { metadata: null, keys: null };
  const waiting: { times: number; resolve: () => void }[] = [];
  const storage = createStorage();
  let keyFetches = 0;
  let openIdDiscovery = true;
  let person = 'ada';
  let keys = await makeKeys();
  let published = keys;
  const server = tls === undefined ? http.createServer(serve) : https.createServer(tls, serve);
  await listen(options.port ?? 0);
  const { port } = server.address() as AddressInfo;
  const issuer = `${tls === undefined ? 'http' : 'https'}://${HOST}:${port}`;
  let provider = makeProvider();
  let answer = provider.callback();

  function makeProvider(): Provider {
    const old = published.filter((key) => !keys.includes(key));
    const settings = { storage, keys: [...keys, ...old], tokenSeconds, algorithm, resource };
    return new Provider(issuer, providerConfiguration(settings));
  }

  function listen(at: number): Promise<void> {
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(at, HOST, resolve);
    });
  }

  function serve(request: http.IncomingMessage, response: http.ServerResponse): void {
    const url = request.url ?? '/';
    if (KEYS.test(url)) {
      keyFetches += 1;
      for (const { times, resolve } of waiting) if (keyFetches >= times) resolve();
      if (failures.keys !== null) return failAs(failures.keys, response);
    }
    if (METADATA.test(url)) {
      if (failures.metadata !== null) return failAs(failures.metadata, response);
      if (!openIdDiscovery && url.startsWith('/.well-known/openid-configuration')) {
        return failAs({ status: 404 }, response);
      }
    }
    if (url.startsWith('/interaction/')) {
      interact(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
      return;
    }
    void answer(request, response);
  }

  /** Signs the person in and consents to all that is asked for. */
  async function interact(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
    if (prompt.name === 'login') {
      await provider.interactionFinished(request, response, { login: { accountId: person } });
      return;
    }
    const { accountId = person } = session ?? {};
    const found = grantId === undefined ? undefined : await provider.Grant.find(grantId);
    const grant = found ?? new provider.Grant({ accountId, clientId: String(params['client_id']) });
    const { missingOIDCScope, missingOIDCClaims, missingResourceScopes } = prompt.details as {
      missingOIDCScope?: string[];
      missingOIDCClaims?: string[];
      missingResourceScopes?: Record<string, string[]>;
    };
    if (missingOIDCScope !== undefined) grant.addOIDCScope(missingOIDCScope.join(' '));
    if (missingOIDCClaims !== undefined) grant.addOIDCClaims(missingOIDCClaims);
    for (const [indicator, scopes] of Object.entries(missingResourceScopes ?? {})) {
      grant.addResourceScope(indicator, scopes.join(' '));
    }
    const consent = { grantId: await grant.save() };
    await provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true });
  }

  async function requestToken(form: Record<string, string>): Promise<Tokens> {
    const response = await fetch(`${issuer}/token`, { method: 'POST', body: new URLSearchParams(form) });
    const body = (await response.json()) as Tokens;
    if (!response.ok)
      throw new Error(`the token endpoint answered ${response.status}: ${JSON.stringify(body)}`);
    return body;
  }

  async function authorize(url: string | URL): Promise<URL> {
    const cookies = new Map<string, string>();
    let at = new URL(url);
    for (let step = 0; step < 10; step += 1) {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
      const response = await fetch(at, { redirect: 'manual', headers: { cookie } });
      for (const set of response.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? [];
        cookies.set(name, value);
      }
      const location = response.headers.get('location');
      if (location === null) throw new Error(`${at} answered ${response.status}: ${await response.text()}`);
      at = new URL(location, at);
      if (at.origin !== issuer) return at;
    }
    throw new Error(`${url} leads round and round`);
  }

  return {
    issuer,
    jwks: () => ({ keys: published.map(publicPart) }),
    signInAs(name) {
      person = name;
    },
    async machineToken({ resource: indicator, scope = 'mcp:use', client = MACHINE }) {
      const tokens = await requestToken({
        grant_type: 'client_credentials',
        client_id: client.id,
        client_secret: client.secret,
        resource: indicator,
        scope,
      });
      return tokens.access_token;
    },
    async userTokens({ resource: indicator, scope = 'openid mcp:use' }) {
      const verifier = randomBytes(32).toString('base64url');
      const url = new URL(`${issuer}/auth`);
      url.search = new URLSearchParams({
        client_id: DESKTOP.id,
        redirect_uri: DESKTOP.redirectUri,
        response_type: 'code',
        scope,
        resource: indicator,
        state: randomUUID(),
        nonce: randomUUID(),
        code_challenge: createHash('sha256').update(verifier).digest('base64url'),
        code_challenge_method: 'S256',
      }).toString();
      const code = (await authorize(url)).searchParams.get('code');
      if (code === null) throw new Error('the provider gave no code');
      return requestToken({
        grant_type: 'authorization_code',
        client_id: DESKTOP.id,
        redirect_uri: DESKTOP.redirectUri,
        code,
        code_verifier: verifier,
        resource: indicator,
      });
    },
    authorize,
    async sign(claims, { header = {}, algorithm: alg = algorithm } = {}) {
      const key = keys.find((candidate) => candidate['alg'] === alg) as JWK;
      const now = Math.floor(Date.now() / 1000);
      const payload = { iss: issuer, sub: 'ada', iat: now, exp: now + tokenSeconds, ...claims };
      return new SignJWT(payload)
        .setProtectedHeader({ alg, kid: key['kid'] as string, typ: 'at+jwt', ...header })
        .sign(key as Parameters<SignJWT['sign']>[0], {
          crit: Object.fromEntries((header.crit ?? []).map((name) => [name, true])),
        });
    },
    async rotate(keepOld) {
      const old = published;
      keys = await makeKeys();
      published = keepOld ? [...keys, ...old] : keys;
      provider = makeProvider();
      answer = provider.callback();
    },
    fail(what, how) {
      failures[what] = how;
    },
    withoutOpenIdDiscovery() {
      openIdDiscovery = false;
    },
    get keyFetches() {
      return keyFetches;
    },
    keysFetched(times) {
      if (keyFetches >= times) return Promise.resolve();
      return new Promise((resolve) => waiting.push({ times, resolve }));
    },
    down,
    up: () => listen(port),
    [Symbol.asyncDispose]: down,
  };

  async function down(): Promise<void> {
    if (!server.listening) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }
}

function failAs(how: Failure, response: http.ServerResponse): void {
  if (how === 'hang') return;
  const json = { 'Content-Type': 'application/json' };
  if (how === 'redirect') response.writeHead(302, { Location: 'http://127.0.0.1:9/elsewhere' }).end();
  else if (how === 'ten-megabytes')
    response.writeHead(200, json).end(`{"keys":[],"more":"${'x'.repeat(10e6)}"}`);
  else if (how === 'error') response.writeHead(500).end('out of order');
  else if (how === 'not-json') response.writeHead(200, json).end('<html>');
  else if ('status' in how) response.writeHead(how.status).end();
  else response.writeHead(200, json).end(JSON.stringify(how.json));
}

/** One key of each kind; the provider signs with the first that fits. */
async function makeKeys(): Promise<JWK[]> {
  const made = (['RS256', 'ES256'] as const).map(async (alg) => {
    const { privateKey } = await generateKeyPair(alg, { extractable: true });
    return { ...(await exportJWK(privateKey)), alg, use: 'sig', kid: `${alg}-${randomUUID()}` } as JWK;
  });
  return Promise.all(made);
}

function publicPart(key: JWK): JWK {
  const { kty, kid, alg, use, n, e, crv, x, y } = key as Record<string, unknown>;
  return JSON.parse(JSON.stringify({ kty, kid, alg, use, n, e, crv, x, y })) as JWK;
}
