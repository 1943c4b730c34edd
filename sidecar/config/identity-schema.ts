/**
 * Owns the section `auth` of the configuration: who may call, and whose tokens say so.
 * Invariant: that nobody is identified must be written; a section that could be read as stricter than it is, is refused.
 */
import { z } from 'zod';
import { AUTH_MODES, type AuthConfiguration, type IssuerConfiguration } from './access.ts';
import { authorities, indexOfRepeated, isTrustworthy, scopes, someOf, text } from './access-words.ts';
import { jwks } from './jwks-schema.ts';
import { duration } from './quantity-schema.ts';
import { section } from './section.ts';

const AUTH_EXPECTED =
  'mode: Anonymous (nobody is identified), or oidc: [{issuer: ...}] and resource: the URL that clients use';
const MODE_EXPECTED = `one of ${AUTH_MODES.join(', ')}`;
const RESOURCE_EXPECTED =
  'the URL by which clients reach the server, for example https://mcp.example.com/github';
const ISSUER_EXPECTED = 'the URL of an issuer, https (or http on this machine), without query and fragment';
const AUDIENCES_EXPECTED = 'a list of audiences, one of which every token must be for';
const ORIGIN_EXPECTED = 'an origin as browsers send it, for example https://app.example.com';
const CLAIM_EXPECTED =
  'a claim: names with dots between, or a JSON Pointer such as /https:~1~1example.com~1groups';

/** JWS algorithms whose signatures only the issuer can make (RFC 7518 3.1, RFC 8037, RFC 9864). */
export const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];

const algorithm = z.string({ error: ALGORITHMS.join(', ') }).superRefine((given, context) => {
  if (ALGORITHMS.includes(given)) return;
  const why = /^HS/i.test(given)
    ? `; with ${given} whoever can check a token could also make one`
    : /^none$/i.test(given)
      ? '; none is no signature: anybody could make a token'
      : '';
  context.addIssue(`one of ${ALGORITHMS.join(', ')}${why}`);
});

const audiences = someOf(
  text((given) => given !== '' && given.length <= 2_048, 'an audience'),
  AUDIENCES_EXPECTED,
);

const issuer = text((given) => {
  const url = URL.parse(given);
  if (url === null || url.username !== '' || url.password !== '') return false;
  return isTrustworthy(url) && !/[?#\s]/.test(given);
}, ISSUER_EXPECTED);

const resource = text((given) => {
  const url = URL.parse(given);
  if (url === null || url.username !== '' || url.password !== '') return false;
  return /^https?:$/.test(url.protocol) && !/[?#\s]/.test(given);
}, `${RESOURCE_EXPECTED}; without query and fragment`);

/** As browsers write it (RFC 6454 6.2): a page of an application may have a scheme of its own. */
const origin = text((given) => {
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^/?#@\s*]+$/.test(given)) return false;
  return !/^https?:/.test(given) || URL.parse(given)?.origin === given;
}, ORIGIN_EXPECTED);

const claim = text((given) => {
  if (given.length > 256) return false;
  if (given.startsWith('/')) return !/~(?![01])/.test(given);
  return given.split('.').every((name) => name !== '');
}, CLAIM_EXPECTED);

const oidcIssuer = section(
  {
    issuer: issuer.describe('The issuer, exactly as its tokens have it in `iss`.'),
    audiences: audiences
      .optional()
      .describe('A token must be for one of them (`aud`). Default: the resource.'),
    algorithms: someOf(algorithm, 'a list of algorithms')
      .optional()
      .describe('Algorithms of its signatures. Default: all asymmetric ones.'),
    groupsClaim: claim.prefault('groups').describe('The claim that names the groups of the caller.'),
    nameClaim: claim.prefault('name').describe('The claim that names the caller for people.'),
    scopes: scopes.prefault([]).describe('What its tokens must carry beside auth.scopes.'),
    ca: authorities
      .optional()
      .describe('Authorities that its certificate may be of beside those of the system, PEM.'),
    jwks: jwks.optional().describe('Its public keys (RFC 7517). Default: fetched, by discovery.'),
  },
  'an issuer: {issuer: https://...}',
);

const kubernetesIssuer = section(
  {
    issuer: issuer.describe('The issuer of service account tokens, as the API server is told it.'),
    audiences: audiences
      .optional()
      .describe('A token must be for one of them (`aud`). Default: the resource.'),
    jwks: jwks.describe('The public keys of the API server (its path /openid/v1/jwks).'),
  },
  'issuer and jwks of a cluster',
);

const shape = section(
  {
    mode: z
      .enum(AUTH_MODES, { error: MODE_EXPECTED })
      .optional()
      .describe(
        'Enforce: no call without a valid token. Observe: what is valid is recorded, all passes. Anonymous: tokens are not looked at. Default: Enforce where issuers are given.',
      ),
    resource: resource
      .optional()
      .describe('The URL by which clients reach the server (RFC 8707, RFC 9728). Enforce needs it.'),
    scopes: scopes.prefault([]).describe('Scopes that every token must carry.'),
    allowedOrigins: z
      .array(origin, { error: 'a list of origins' })
      .optional()
      .describe('Origins of browser pages that may call; others get 403. Default: not looked at.'),
    clockSkew: duration([0, '0s'], [300_000, '5m'])
      .prefault('60s')
      .describe('How far the clocks of issuers may be from the one here, at most 5m.'),
    maxKeyAge: duration([60_000, '1m'])
      .prefault('1h')
      .describe('How long keys are used that could not be fetched anew, at least 1m.'),
    oidc: someOf(oidcIssuer, 'a list of issuers: [{issuer: https://...}]')
      .optional()
      .describe('Issuers of access tokens (JWT).'),
    kubernetes: kubernetesIssuer.optional().describe('Service account tokens of a cluster.'),
  },
  AUTH_EXPECTED,
);

type Given = z.output<typeof shape>;

/** Checks what no key can tell alone, and fills in what depends on other keys. */
export const authSection = shape
  .transform((given, context): AuthConfiguration => {
    const { oidc = [], kubernetes } = given;
    const hasIssuers = oidc.length > 0 || kubernetes !== undefined;
    const { mode = hasIssuers ? 'Enforce' : null } = given;
    const refuse = (path: (string | number)[], message: string): void =>
      context.addIssue({ code: 'custom', path, message });

    if (mode === null) refuse([], AUTH_EXPECTED);
    else if (mode === 'Anonymous') refuseWithAnonymous(given, refuse);
    else if (!hasIssuers) refuse(['oidc'], `an issuer with mode: ${mode}: oidc: [{issuer: ...}]`);
    if (mode === 'Enforce' && given.resource === undefined) {
      refuse(['resource'], `${RESOURCE_EXPECTED}, with mode: Enforce`);
    }
    if (mode === 'Observe' && given.resource === undefined) {
      const needs = 'audiences, or auth.resource';
      oidc.forEach(({ audiences: own }, index) => {
        if (own === undefined) refuse(['oidc', index, 'audiences'], needs);
      });
      if (kubernetes !== undefined && kubernetes.audiences === undefined) {
        refuse(['kubernetes', 'audiences'], needs);
      }
    }
    if (kubernetes !== undefined && given.scopes.length > 0) {
      refuse(['scopes'], 'no scopes beside kubernetes: such tokens have none. Give them to each of oidc');
    }
    const repeated = indexOfRepeated(
      [...(kubernetes === undefined ? [] : [kubernetes]), ...oidc].map((one) => one.issuer),
    );
    if (repeated >= 0) {
      const index = repeated - Number(kubernetes !== undefined);
      refuse(['oidc', index, 'issuer'], 'another issuer: it is there already');
    }
    return complete(given, mode ?? 'Enforce');
  })
  .meta({ description: 'Who may call. It must be given: mode: Anonymous, or issuers.' });

function refuseWithAnonymous(given: Given, refuse: (path: string[], message: string) => void): void {
  const why = 'with mode: Anonymous, which identifies nobody';
  if (given.oidc !== undefined) refuse(['oidc'], `no issuers ${why}`);
  if (given.kubernetes !== undefined) refuse(['kubernetes'], `no issuer ${why}`);
  if (given.scopes.length > 0) refuse(['scopes'], `no scopes ${why}`);
}

function complete(given: Given, mode: AuthConfiguration['mode']): AuthConfiguration {
  const byDefault = given.resource === undefined ? [] : [given.resource];
  const issuers = (given.oidc ?? []).map(
    (one): IssuerConfiguration => ({
      how: 'oidc',
      issuer: one.issuer,
      audiences: one.audiences ?? byDefault,
      algorithms: one.algorithms ?? ALGORITHMS,
      groupsClaim: one.groupsClaim,
      nameClaim: one.nameClaim,
      scopes: one.scopes,
      ca: one.ca ?? null,
      jwks: one.jwks ?? null,
    }),
  );
  const { kubernetes } = given;
  if (kubernetes !== undefined) {
    issuers.push({
      how: 'kubernetes',
      issuer: kubernetes.issuer,
      audiences: kubernetes.audiences ?? byDefault,
      algorithms: ALGORITHMS,
      // Its tokens name an account, and no groups.
      groupsClaim: null,
      nameClaim: null,
      scopes: [],
      ca: null,
      jwks: kubernetes.jwks,
    });
  }
  return {
    mode,
    resource: given.resource ?? null,
    scopes: given.scopes,
    allowedOrigins: given.allowedOrigins ?? null,
    clockSkewMs: given.clockSkew,
    maxKeyAgeMs: given.maxKeyAge,
    issuers,
  };
}
