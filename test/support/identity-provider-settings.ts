/**
 * Owns how the identity provider of tests is set up: its clients, people and resources.
 * Invariant: whoever is asked to sign in is signed in and has consented, without a page to click on.
 */
import type { Adapter, Configuration, JWK } from 'oidc-provider';

export interface Person {
  name: string;
  email: string;
  groups: string[];
}

export const PEOPLE: Readonly<Record<string, Person>> = {
  ada: { name: 'Ada', email: 'ada@example.com', groups: ['admins', 'dev'] },
  bob: { name: 'Bob', email: 'bob@example.com', groups: ['dev'] },
};

/** A program that calls for itself: `client_credentials`. */
export const MACHINE = { id: 'machine', secret: 'machine-secret-0123456789abcdef' };
/** Another one of the kind. */
export const OTHER_MACHINE = { id: 'other-machine', secret: 'other-secret-0123456789abcdef' };
/** A public client with PKCE, at any port of this machine. */
export const DESKTOP = { id: 'desktop', redirectUri: 'http://127.0.0.1/callback' };
export const SCOPES = ['mcp:use', 'mcp:admin'];

/** Seconds; longer than any test. */
const LIFETIMES = { Interaction: 3600, Session: 3600, Grant: 3600, RefreshToken: 3600 };

export interface Settings {
  storage: (kind: string) => Adapter;
  keys: JWK[];
  /** Lifetime of access tokens (seconds). */
  tokenSeconds: number;
  algorithm: 'RS256' | 'ES256';
  /** The resource of tokens for which none was asked for. */
  resource: string | undefined;
}

export function providerConfiguration(settings: Settings): Configuration {
  const { storage, keys, tokenSeconds, algorithm, resource } = settings;
  const machines = [MACHINE, OTHER_MACHINE].map(({ id, secret }) => ({
    client_id: id,
    client_secret: secret,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    scope: SCOPES.join(' '),
  }));
  const desktop = {
    client_id: DESKTOP.id,
    token_endpoint_auth_method: 'none' as const,
    application_type: 'native' as const,
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: [DESKTOP.redirectUri],
  };
  return {
    adapter: storage,
    jwks: { keys },
    clients: [...machines, desktop] as NonNullable<Configuration['clients']>,
    scopes: ['openid', 'offline_access', ...SCOPES],
    claims: { openid: ['sub'], profile: ['name'], email: ['email'] },
    cookies: { keys: ['of the tests'] },
    pkce: { required: () => true },
    clientBasedCORS: () => true,
    clientDefaults: { id_token_signed_response_alg: algorithm },
    interactions: { url: (_, { uid }) => `/interaction/${uid}` },
    ttl: { AccessToken: tokenSeconds, ClientCredentials: tokenSeconds, IdToken: tokenSeconds, ...LIFETIMES },
    findAccount: (_, accountId) => ({
      accountId,
      claims: () => {
        const person = PEOPLE[accountId];
        return person === undefined ? { sub: accountId } : { sub: accountId, ...person };
      },
    }),
    extraTokenClaims: (_, token) => ({ ...('accountId' in token ? PEOPLE[token.accountId] : {}) }),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        ...(resource === undefined ? {} : { defaultResource: () => resource }),
        useGrantedResource: () => true,
        getResourceServerInfo: (_, indicator) => ({
          scope: SCOPES.join(' '),
          audience: indicator,
          accessTokenTTL: tokenSeconds,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: algorithm } },
        }),
      },
    },
  };
}
