/**
 * Owns the auth table: one case for each row of docs/access.md that a resource server must keep. A case is a request and what must come
 * of it, so that it can be run against `identify` and over HTTP alike.
 * Invariant: the scene has scopes `mcp:use`, the audience `RESOURCE`, one allowed origin, and one trusted issuer.
 */
import { createHmac } from 'node:crypto';
import { exportJWK, exportSPKI, generateKeyPair, importJWK, type JWK, SignJWT, UnsecuredJWT } from 'jose';
import type { RequestHead } from '../../sidecar/identity/identity.ts';
import type { IdentityProvider } from '../support/identity-provider.ts';
import { bearer, headOf, RESOURCE } from './scene.ts';

export const ALLOWED_ORIGIN = 'https://app.example.com';
export const SCOPE = 'mcp:use';
export const METADATA_URL = 'https://mcp.example.com/.well-known/oauth-protected-resource/github';

export interface CaseParts {
  idp: IdentityProvider;
  /** Another one, that is not trusted. */
  stranger: IdentityProvider;
}

/** What the client sees. */
export interface Answer {
  status: number;
  /** Names in lower case. */
  headers: Record<string, string>;
  body: string;
}

export type Expected =
  /** It reaches the server. */
  | { passes: true; subject: string }
  | {
      passes: false;
      status: number;
      /** Reason on the `denied` line; null: nothing is denied. */
      reason: string | null;
      /** Where HTTP itself refuses sooner, its status. */
      httpStatus?: number;
      /** `error` in `WWW-Authenticate` and body; null: there must be none. */
      error?: string | null;
      check?(answer: Answer): void;
    };

export interface AuthCase {
  /** As the row calls it. */
  name: string;
  request(parts: CaseParts): RequestHead | Promise<RequestHead>;
  expected: Expected;
}

const aud = RESOURCE;
const scope = SCOPE;
const PASSES: Expected = { passes: true, subject: 'ada' };
const INVALID: Expected = { passes: false, status: 401, reason: 'invalid_token', error: 'invalid_token' };
const BAD_REQUEST: Expected = {
  passes: false,
  status: 401,
  reason: 'invalid_token',
  error: 'invalid_request',
};
const NO_TOKEN: Expected = { passes: false, status: 401, reason: 'no_token', error: null };

function seconds(): number {
  return Math.floor(Date.now() / 1000);
}

function part(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** A case of a token with these claims, whose signature is good. */
function signed(name: string, expected: Expected, claims: () => object, header: object = {}): AuthCase {
  return {
    name,
    request: async ({ idp }) => bearer(await idp.sign({ aud, scope, ...claims() }, { header })),
    expected,
  };
}

function answerWith(check: (answer: Answer) => void, status = 200): Expected {
  return { passes: false, status, reason: null, check };
}

function metadata(target: string, method = 'GET'): (parts: CaseParts) => RequestHead {
  return () => headOf([], { method, target });
}

function must(condition: boolean, what: string): void {
  if (!condition) throw new Error(`expected ${what}`);
}

const RFC_6750: AuthCase[] = [
  signed('a valid token in the Authorization header passes', PASSES, () => ({})),
  {
    name: 'the scheme may be spelled in any case',
    request: async ({ idp }) => headOf({ authorization: `bEARER ${await idp.sign({ aud, scope })}` }),
    expected: PASSES,
  },
  ...[
    ['Bearer', 'Bearer without a token is malformed'],
    ['Bearer not/a(token)', 'a token of other characters is malformed'],
  ].map(([value = '', name = '']) => ({
    name,
    request: () => headOf({ Authorization: value }),
    expected: BAD_REQUEST,
  })),
  {
    name: 'a token in the form of the body is none',
    request: () => headOf({ 'Content-Type': 'application/x-www-form-urlencoded' }),
    expected: NO_TOKEN,
  },
  {
    name: 'a token in the query is refused',
    request: async ({ idp }) =>
      headOf([], { target: `/github?access_token=${await idp.sign({ aud, scope })}` }),
    expected: BAD_REQUEST,
  },
  {
    name: 'a token in the query under an escaped name is refused',
    request: async ({ idp }) =>
      headOf([], { target: `/github?access%5Ftoken=${await idp.sign({ aud, scope })}` }),
    expected: BAD_REQUEST,
  },
  {
    name: 'a token in header and query is refused',
    request: async ({ idp }) => {
      const token = await idp.sign({ aud, scope });
      return bearer(token, { target: `/github?access_token=${token}` });
    },
    expected: BAD_REQUEST,
  },
  {
    name: 'two Authorization headers are refused',
    request: async ({ idp }) => {
      const value = `Bearer ${await idp.sign({ aud, scope })}`;
      return headOf(['Authorization', value, 'authorization', value]);
    },
    expected: BAD_REQUEST,
  },
  {
    name: 'a call without credentials gets a challenge without an error code',
    request: () => headOf([]),
    expected: {
      ...NO_TOKEN,
      check: ({ headers }) =>
        must(headers['www-authenticate']?.startsWith('Bearer ') === true, 'a challenge of the scheme Bearer'),
    },
  },
  {
    name: 'credentials of another scheme are none',
    request: () => headOf({ Authorization: 'Basic YWRhOnNlY3JldA==' }),
    expected: NO_TOKEN,
  },
  signed(
    'an invalid token gets 401 with invalid_token and a description',
    {
      ...INVALID,
      check: ({ headers, body }) => {
        const challenge = headers['www-authenticate'] ?? '';
        const [, description = ''] = /error_description="([^"]+)"/.exec(challenge) ?? [];
        must(/^[\x20-\x21\x23-\x5B\x5D-\x7E]+$/.test(description), 'a description of the characters allowed');
        must(JSON.parse(body).error_description === description, 'the same description in the body');
        must(headers['content-type'] === 'application/json', 'a body that says what it is');
      },
    },
    () => ({ exp: 1 }),
  ),
  signed(
    'a token without a needed scope gets 403 with the scopes that are needed',
    {
      passes: false,
      status: 403,
      reason: 'insufficient_scope',
      error: 'insufficient_scope',
      check: ({ headers }) =>
        must(headers['www-authenticate']?.includes(`scope="${SCOPE}"`) === true, 'the needed scopes'),
    },
    () => ({ scope: 'mcp:admin mcp:used' }),
  ),
  {
    name: 'refusals are not kept by caches',
    request: () => headOf([]),
    expected: {
      ...NO_TOKEN,
      check: ({ headers }) => must(headers['cache-control'] === 'no-store', 'Cache-Control: no-store'),
    },
  },
];

const RFC_8707: AuthCase[] = [
  {
    name: 'a token that the issuer made for this resource passes',
    request: async ({ idp }) => bearer((await idp.userTokens({ resource: RESOURCE })).access_token),
    expected: PASSES,
  },
  {
    name: 'a token that the issuer made for another resource is refused',
    request: async ({ idp }) =>
      bearer((await idp.userTokens({ resource: 'https://mcp.example.com/other' })).access_token),
    expected: INVALID,
  },
  signed('a token for several audiences passes when this is one of them', PASSES, () => ({
    aud: ['https://other', aud],
  })),
  signed('a token for the beginning of this audience is refused', INVALID, () => ({
    aud: 'https://mcp.example.com/',
  })),
  signed('a token without an audience is refused', INVALID, () => ({ aud: undefined })),
];

const RFC_9728: AuthCase[] = [
  {
    name: 'the metadata stands at the well-known path of the resource',
    request: metadata('/.well-known/oauth-protected-resource/github'),
    expected: answerWith(({ headers, body }) => {
      must(headers['content-type'] === 'application/json', 'application/json');
      must(JSON.parse(body).resource === RESOURCE, 'the resource as clients know it');
    }),
  },
  {
    name: 'the metadata stands at the root too',
    request: metadata('/.well-known/oauth-protected-resource'),
    expected: answerWith(({ body }) => must(JSON.parse(body).resource === RESOURCE, 'the same resource')),
  },
  {
    name: 'the metadata names issuers, scopes and the way of tokens',
    request: metadata('/.well-known/oauth-protected-resource/github'),
    expected: answerWith(({ body }) => {
      const { authorization_servers, scopes_supported, bearer_methods_supported } = JSON.parse(body);
      must(authorization_servers.length === 1 && URL.canParse(authorization_servers[0]), 'an issuer');
      must(JSON.stringify(scopes_supported) === JSON.stringify([SCOPE]), 'the scopes');
      must(JSON.stringify(bearer_methods_supported) === '["header"]', 'tokens in headers only');
    }),
  },
  {
    name: 'HEAD of the metadata is answered',
    request: metadata('/.well-known/oauth-protected-resource/github', 'HEAD'),
    expected: answerWith(({ headers }) =>
      must(headers['content-type'] === 'application/json', 'its headers'),
    ),
  },
  {
    name: 'the metadata may be read by every page',
    request: () =>
      headOf(
        { Origin: 'https://evil.example' },
        { method: 'GET', target: '/.well-known/oauth-protected-resource' },
      ),
    expected: answerWith(({ headers }) => must(headers['access-control-allow-origin'] === '*', 'any origin')),
  },
  {
    name: 'the metadata of another resource is not ours to tell',
    request: metadata('/.well-known/oauth-protected-resource/other'),
    expected: NO_TOKEN,
  },
  {
    name: 'only reading the metadata needs no token',
    request: metadata('/.well-known/oauth-protected-resource/github', 'POST'),
    expected: NO_TOKEN,
  },
  {
    name: 'a challenge says where the metadata is',
    request: () => headOf([]),
    expected: {
      ...NO_TOKEN,
      check: ({ headers }) =>
        must(
          headers['www-authenticate']?.includes(`resource_metadata="${METADATA_URL}"`) === true,
          'resource_metadata',
        ),
    },
  },
];

const MCP: AuthCase[] = [
  {
    name: 'a challenge says which scopes to ask for',
    request: () => headOf([]),
    expected: {
      ...NO_TOKEN,
      check: ({ headers }) =>
        must(headers['www-authenticate']?.includes(`scope="${SCOPE}"`) === true, 'the scopes'),
    },
  },
  {
    name: 'a session id does not stand for a token',
    request: () => headOf({ 'Mcp-Session-Id': '0123456789abcdef' }),
    expected: NO_TOKEN,
  },
  ...['GET', 'DELETE', 'HEAD', 'PUT', 'OPTIONS'].map((method) => ({
    name: `${method} needs a token`,
    request: () => headOf([], { method }),
    expected: NO_TOKEN,
  })),
  {
    name: 'an ID token is refused',
    request: async ({ idp }) => bearer((await idp.userTokens({ resource: RESOURCE })).id_token as string),
    expected: INVALID,
  },
  signed('an ID token for this audience is refused', INVALID, () => ({ nonce: 'n-1' }), { typ: 'JWT' }),
  signed('an ID token with at_hash is refused', INVALID, () => ({ at_hash: 'MTIzNDU2Nzg5MDEyMzQ1Ng' }), {
    typ: undefined,
  }),
  signed('an identity assertion (ID-JAG) is refused', INVALID, () => ({}), { typ: 'oauth-id-jag+jwt' }),
  {
    name: 'an allowed origin may call',
    request: async ({ idp }) =>
      headOf({ Origin: ALLOWED_ORIGIN, Authorization: `Bearer ${await idp.sign({ aud, scope })}` }),
    expected: PASSES,
  },
  ...['https://evil.example', 'null', `${ALLOWED_ORIGIN}.evil.example`, 'http://app.example.com'].map(
    (Origin) => ({
      name: `the origin ${Origin} gets 403`,
      request: async ({ idp }: CaseParts) =>
        headOf({ Origin, Authorization: `Bearer ${await idp.sign({ aud, scope })}` }),
      expected: {
        passes: false as const,
        status: 403,
        reason: 'forbidden_origin',
        check: ({ headers }: Answer) =>
          must(headers['access-control-allow-origin'] === undefined, 'that the page can not read it'),
      },
    }),
  ),
  {
    name: 'a preflight of an allowed origin is answered',
    request: () =>
      headOf(
        {
          Origin: ALLOWED_ORIGIN,
          'Access-Control-Request-Method': 'POST',
          'Access-Control-Request-Headers': 'authorization, mcp-protocol-version',
        },
        { method: 'OPTIONS' },
      ),
    expected: answerWith(({ headers, body }) => {
      must(headers['access-control-allow-origin'] === ALLOWED_ORIGIN, 'the origin');
      must(headers['access-control-allow-methods']?.includes('DELETE') === true, 'the methods');
      must(headers['access-control-allow-headers'] === 'authorization, mcp-protocol-version', 'the headers');
      must(
        Number(headers['access-control-max-age']) > 0 && headers['vary']?.includes('Origin') === true,
        'an age',
      );
      must(body === '', 'no body');
    }, 204),
  },
  {
    name: 'a preflight of another origin gets 403',
    request: () =>
      headOf(
        { Origin: 'https://evil.example', 'Access-Control-Request-Method': 'POST' },
        { method: 'OPTIONS' },
      ),
    expected: { passes: false, status: 403, reason: 'forbidden_origin' },
  },
  {
    name: 'an allowed page may read why it was refused',
    request: () => headOf({ Origin: ALLOWED_ORIGIN }),
    expected: {
      ...NO_TOKEN,
      check: ({ headers }) => {
        must(headers['access-control-allow-origin'] === ALLOWED_ORIGIN, 'the origin');
        must(headers['access-control-expose-headers'] === 'WWW-Authenticate', 'the challenge');
      },
    },
  },
];

const RFC_8725: AuthCase[] = [
  {
    name: 'alg none is refused',
    request: ({ idp }) =>
      bearer(
        `${new UnsecuredJWT({ aud, scope, sub: 'ada', exp: seconds() + 60 }).setIssuer(idp.issuer).encode()}x`,
      ),
    expected: INVALID,
  },
  {
    name: 'alg none without a signature is refused',
    request: ({ idp }) =>
      bearer(
        new UnsecuredJWT({ aud, scope, sub: 'ada', exp: seconds() + 60 }).setIssuer(idp.issuer).encode(),
      ),
    expected: INVALID,
  },
  {
    name: 'HS256 with the public key as secret is refused',
    request: async ({ idp }) => {
      const jwk = idp.jwks().keys[0] as JWK;
      const pem = await exportSPKI((await importJWK(jwk, 'RS256', { extractable: true })) as CryptoKey);
      const payload = { iss: idp.issuer, aud, scope, sub: 'ada', exp: seconds() + 60 };
      const text = `${part({ alg: 'HS256', kid: jwk.kid, typ: 'at+jwt' })}.${part(payload)}`;
      return bearer(`${text}.${createHmac('sha256', pem).update(text).digest('base64url')}`);
    },
    expected: INVALID,
  },
  {
    name: 'an algorithm that is not configured is refused',
    request: async ({ idp }) => {
      const { privateKey } = await generateKeyPair('PS256');
      return bearer(await strange(idp.issuer, 'PS256').sign(privateKey));
    },
    expected: INVALID,
  },
  signed('a key id that the issuer does not have is refused', INVALID, () => ({}), { kid: 'no-such-key' }),
  {
    name: 'a key id of a key of another kind is refused',
    request: async ({ idp }) => {
      const other = idp.jwks().keys.find(({ alg }) => alg === 'ES256') as { kid: string };
      return bearer(await idp.sign({ aud, scope }, { header: { kid: other.kid } }));
    },
    expected: INVALID,
  },
  {
    name: 'a key that the token brings along is not used',
    request: async ({ idp }) => {
      const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
      const jwk = await exportJWK(publicKey);
      return bearer(
        await strange(idp.issuer, 'ES256', { jwk, jku: 'http://127.0.0.1:9/keys' }).sign(privateKey),
      );
    },
    expected: INVALID,
  },
  {
    name: 'a changed claim is refused',
    request: async ({ idp }) => {
      const [header, payload = '', signature] = (await idp.sign({ aud, scope })).split('.');
      const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
      return bearer(`${header}.${part({ ...claims, sub: 'bob' })}.${signature}`);
    },
    expected: INVALID,
  },
  {
    name: 'a token of an issuer that is not trusted is refused',
    request: async ({ stranger }) => bearer(await stranger.sign({ aud, scope })),
    expected: INVALID,
  },
  {
    name: 'a token that only says it is of the issuer is refused',
    request: async ({ idp, stranger }) => bearer(await stranger.sign({ aud, scope, iss: idp.issuer })),
    expected: INVALID,
  },
  {
    name: 'an issuer with a slash more is another',
    request: async ({ idp }) => bearer(await idp.sign({ aud, scope, iss: `${idp.issuer}/` })),
    expected: INVALID,
  },
  signed('an expired token is refused', INVALID, () => ({ exp: seconds() - 61 })),
  signed('a token that expired within the skew passes', PASSES, () => ({ exp: seconds() - 30 })),
  signed('a token without exp is refused', INVALID, () => ({ exp: undefined })),
  signed('a token whose exp is text is refused', INVALID, () => ({ exp: '9999999999' })),
  signed('a token that is not valid yet is refused', INVALID, () => ({ nbf: seconds() + 90 })),
  signed('a token that is valid within the skew passes', PASSES, () => ({ nbf: seconds() + 30 })),
  signed('a token issued in the future is refused', INVALID, () => ({ iat: seconds() + 90 })),
  signed('an unknown critical header is refused', INVALID, () => ({}), { crit: ['x-new'], 'x-new': true }),
  signed('the type application/at+jwt passes', PASSES, () => ({}), { typ: 'application/at+jwt' }),
  signed('the general type JWT passes', PASSES, () => ({}), { typ: 'JWT' }),
  signed('a token without a type passes', PASSES, () => ({}), { typ: undefined }),
  signed('another type is refused', INVALID, () => ({}), { typ: 'logout+jwt' }),
  signed('a token that names no subject is refused', INVALID, () => ({ sub: undefined })),
  signed('a token that is bound to a key is refused', INVALID, () => ({ cnf: { jkt: 'abc' } })),
  {
    name: 'an encrypted token is refused',
    request: () => bearer(`${part({ alg: 'dir', enc: 'A256GCM' })}..aaaa.bbbb.cccc`),
    expected: INVALID,
  },
  {
    name: 'text that is no JWT is refused',
    request: () => bearer('opaque-token-0123456789'),
    expected: INVALID,
  },
  {
    name: 'a token of 20 kB is refused unread',
    request: async ({ idp }) => bearer(await idp.sign({ aud, scope, more: 'x'.repeat(15_000) })),
    expected: INVALID,
  },
  {
    name: 'a token of 100 kB is refused',
    request: async ({ idp }) => bearer(await idp.sign({ aud, scope, more: 'x'.repeat(75_000) })),
    expected: { ...INVALID, httpStatus: 431 },
  },
];

/** A token whose key the issuer does not have. */
function strange(issuer: string, alg: string, header: object = {}): SignJWT {
  return new SignJWT({ aud, scope, iss: issuer, sub: 'ada', exp: seconds() + 60 }).setProtectedHeader({
    alg,
    typ: 'at+jwt',
    ...header,
  });
}

/** By the specification whose rows they are. */
export const AUTH_CASES: Readonly<Record<string, AuthCase[]>> = {
  'RFC 6750: bearer tokens': RFC_6750,
  'RFC 8707: resource indicators': RFC_8707,
  'RFC 9728: protected resource metadata': RFC_9728,
  'MCP: authorization': MCP,
  'RFC 8725, RFC 9068: tokens': RFC_8725,
};
