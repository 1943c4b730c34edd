/**
 * Owns the identity provider of these tests: a real one that gives tokens for client credentials, with secrets that change, and a door that
 * can be made to misbehave.
 */
import { EventEmitter } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { type Adapter, Provider } from 'oidc-provider';

/** What stands in the provider's place: null, the provider itself. */
export type Door = ((request: http.IncomingMessage, response: http.ServerResponse) => void) | null;

export interface TestProvider {
  issuer: string;
  tokenEndpoint: string;
  /** What each client must say now. */
  secrets: Map<string, string>;
  /** How the client must say it; the provider takes no other way. */
  authMethod: 'client_secret_basic' | 'client_secret_post';
  lifeS: number;
  door: Door;
  /** Request targets, in order. */
  seen: string[];
  /** Tokens that were given. */
  given: string[];
  /** As if there were no door. */
  pass(request: http.IncomingMessage, response: http.ServerResponse): void;
  /** Ends when the next token was given. */
  nextToken(): Promise<void>;
  close(): Promise<void>;
}

interface ProviderOptions {
  tls?: { key: string; cert: string };
}

export const RESOURCE = 'https://mcp.example.com/github';

export async function startProvider({ tls }: ProviderOptions = {}): Promise<TestProvider> {
  let callback: http.RequestListener = (_, response) => response.writeHead(500).end();
  const given = new EventEmitter();
  const listener: http.RequestListener = (request, response) => {
    test.seen.push(`${request.method} ${request.url}`);
    (test.door ?? callback)(request, response);
  };
  const server = tls === undefined ? http.createServer(listener) : https.createServer(tls, listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const issuer = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;
  const test: TestProvider = {
    issuer,
    tokenEndpoint: `${issuer}/token`,
    secrets: new Map(),
    authMethod: 'client_secret_basic',
    lifeS: 600,
    door: null,
    seen: [],
    given: [],
    pass: (request, response) => callback(request, response),
    nextToken: () => new Promise((resolve) => void given.once('token', resolve)),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const provider = new Provider(issuer, {
    adapter: (name: string) => adapterOf(name, test),
    scopes: ['mcp:use'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => ({
          scope: 'mcp:use',
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: test.lifeS,
        }),
      },
    },
    ttl: { ClientCredentials: () => test.lifeS },
  });
  provider.on('client_credentials.issued', (token) => {
    test.given.push(String(token.jti));
    given.emit('token');
  });
  callback = provider.callback();
  return test;
}

/** Clients are looked up each time, so that their secrets can be changed. */
function adapterOf(name: string, test: TestProvider): Adapter {
  return {
    async find(id) {
      const secret = test.secrets.get(id);
      if (name !== 'Client' || secret === undefined) return undefined;
      return {
        client_id: id,
        client_secret: secret,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        token_endpoint_auth_method: test.authMethod,
        scope: 'mcp:use',
      };
    },
    async upsert() {},
    async findByUserCode() {
      return undefined;
    },
    async findByUid() {
      return undefined;
    },
    async consume() {},
    async destroy() {},
    async revokeByGrantId() {},
  };
}
