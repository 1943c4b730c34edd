/**
 * Owns what the configuration says of the server's own credential, and of the caller's token on its way there.
 * Invariant: no secret stands in the configuration: it names files that hold one.
 */
import { z } from 'zod';
import type { CredentialConfiguration } from './access.ts';
import { authorities, file, isTrustworthy, text } from './access-words.ts';
import { section } from './section.ts';

const CREDENTIAL_EXPECTED = 'exactly one of header, bearer, basic and clientCredentials';
const HEADER_EXPECTED = 'the name of a header, for example X-Api-Key';
const ISSUER_EXPECTED = 'the URL of an issuer, https (or http on this machine), without query and fragment';
const ENDPOINT_EXPECTED = 'the URL of a token endpoint, https (or http on this machine), without fragment';

/** They frame the message, or lead it: RFC 9110 7.6.1 and 8.6, RFC 9112, and those of MCP. */
const NOT_FOR_CREDENTIALS =
  /^(?:host|content-.*|connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|expect|http2-settings|mcp-.*)$/i;

const headerName = z.string({ error: HEADER_EXPECTED }).superRefine((given, context) => {
  // RFC 9110 5.6.2: a token.
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/.test(given)) context.addIssue(HEADER_EXPECTED);
  else if (NOT_FOR_CREDENTIALS.test(given)) {
    context.addIssue(
      `${HEADER_EXPECTED}; this one says how a message is read, and is no place for a credential`,
    );
  }
});

const url = (expected: string, refused: RegExp) =>
  text((given) => {
    const parsed = URL.parse(given);
    if (parsed === null || parsed.username !== '' || parsed.password !== '') return false;
    return isTrustworthy(parsed) && !refused.test(given);
  }, expected);

export const credentialSection = section(
  {
    header: section({
      name: headerName.describe('Name of the header.'),
      valueFile: file('the value of the header').describe('File with its value.'),
    })
      .optional()
      .describe('A header with a fixed value.'),
    bearer: section({ tokenFile: file('a token').describe('File with the token.') })
      .optional()
      .describe('Authorization: Bearer.'),
    basic: section({
      usernameFile: file('a user name').describe('File with the user name.'),
      passwordFile: file('a password').describe('File with the password.'),
    })
      .optional()
      .describe('Authorization: Basic.'),
    clientCredentials: section({
      issuer: url(ISSUER_EXPECTED, /[?#\s]/)
        .optional()
        .describe('The authorization server; its token endpoint is found by discovery.'),
      tokenEndpoint: url(ENDPOINT_EXPECTED, /[#\s]/)
        .optional()
        .describe('The token endpoint, where there is no discovery.'),
      clientIdFile: file('a client id').describe('File with the client id.'),
      clientSecretFile: file('a client secret').describe('File with the client secret.'),
      scope: text((given) => /^[\x20-\x7e]{1,1024}$/.test(given), 'scopes with spaces between')
        .optional()
        .describe('Scopes to ask for, spaces between.'),
      resource: text((given) => URL.canParse(given) && !given.includes('#'), 'the URL of the server')
        .optional()
        .describe('What the token is to be for (RFC 8707).'),
      ca: authorities
        .optional()
        .describe('Authorities that its certificate may be of beside those of the system, PEM.'),
    })
      .refine((given) => (given.issuer === undefined) !== (given.tokenEndpoint === undefined), {
        error: 'exactly one of issuer and tokenEndpoint',
      })
      .optional()
      .describe('A token by OAuth 2.0 client credentials (RFC 6749 4.4).'),
  },
  CREDENTIAL_EXPECTED,
)
  .refine((given) => Object.values(given).filter((one) => one !== undefined).length === 1, {
    error: CREDENTIAL_EXPECTED,
  })
  .meta({
    oneOf: ['header', 'bearer', 'basic', 'clientCredentials'].map((kind) => ({ required: [kind] })),
  });

/** The credential with its files as absolute paths. */
export function credentialOf(
  given: z.output<typeof credentialSection>,
  resolve: (path: string) => string,
): CredentialConfiguration | null {
  const { header, bearer, basic, clientCredentials: client } = given;
  if (header !== undefined) {
    return { kind: 'header', name: header.name, valueFile: resolve(header.valueFile) };
  }
  if (bearer !== undefined) return { kind: 'bearer', tokenFile: resolve(bearer.tokenFile) };
  if (basic !== undefined) {
    return {
      kind: 'basic',
      usernameFile: resolve(basic.usernameFile),
      passwordFile: resolve(basic.passwordFile),
    };
  }
  if (client === undefined) return null;
  return {
    kind: 'clientCredentials',
    issuer: client.issuer ?? null,
    tokenEndpoint: client.tokenEndpoint ?? null,
    clientIdFile: resolve(client.clientIdFile),
    clientSecretFile: resolve(client.clientSecretFile),
    scope: client.scope ?? null,
    resource: client.resource ?? null,
    ca: client.ca ?? null,
  };
}
