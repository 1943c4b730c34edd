/**
 * A client of the official SDK that is told nothing but the server's URL: refused, it finds the issuer by the recorder's metadata, registers,
 * signs its person in, and calls; the recording says who.
 */
import {
  Client,
  type OAuthClientProvider,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client';
import type { DeniedLine, ResultLine } from '@mcp-recorder/recording/format/line';
import { describe, expect, it } from 'vitest';
import type { AuthConfiguration } from '../../sidecar/config/access.ts';
import { type FixtureServer, startFixtureServer } from '../support/fixture-server.ts';
import { type IdentityProvider, startIdentityProvider } from '../support/identity-provider.ts';
import { startTestRecorder, type TestRecorder } from '../support/recorder.ts';

type Kept = 'clientInformation' | 'tokens' | 'discoveryState';
type Stored<Name extends Kept> = Exclude<
  Awaited<ReturnType<NonNullable<OAuthClientProvider[Name]>>>,
  undefined
>;

/** A program on a person's desk: it registers itself, and its browser is the provider's `authorize`. */
function createDesktop(idp: IdentityProvider) {
  let information: Stored<'clientInformation'> | undefined;
  let tokens: Stored<'tokens'> | undefined;
  let discovered: Stored<'discoveryState'> | undefined;
  let verifier = '';
  let ended: URL | null = null;
  const provider: OAuthClientProvider = {
    redirectUrl: 'http://127.0.0.1:3334/oauth/callback',
    clientMetadata: {
      client_name: 'desktop of a test',
      redirect_uris: ['http://127.0.0.1:3334/oauth/callback'],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    },
    clientInformation: () => information,
    saveClientInformation(saved) {
      information = saved;
    },
    tokens: () => tokens,
    saveTokens(saved) {
      tokens = saved;
    },
    async redirectToAuthorization(url) {
      ended = await idp.authorize(url);
    },
    saveCodeVerifier(saved) {
      verifier = saved;
    },
    codeVerifier: () => verifier,
    saveDiscoveryState(saved) {
      discovered = saved;
    },
    discoveryState: () => discovered,
  };
  return { provider, endedAt: () => ended as URL | null };
}

async function enforce(recorder: TestRecorder, idp: IdentityProvider): Promise<string> {
  const resource = `${recorder.origin}/mcp`;
  const auth: AuthConfiguration = {
    mode: 'Enforce',
    resource,
    scopes: ['mcp:use'],
    allowedOrigins: null,
    clockSkewMs: 60_000,
    maxKeyAgeMs: 3_600_000,
    issuers: [
      {
        how: 'oidc',
        issuer: idp.issuer,
        audiences: [resource],
        algorithms: ['RS256'],
        groupsClaim: 'groups',
        nameClaim: 'email',
        scopes: [],
        ca: null,
        jwks: null,
      },
    ],
  };
  const { configuration } = recorder;
  const log = { level: 'silent' as never };
  expect(
    await recorder.recorder.reconfigure({ ...configuration, auth, log, digest: 'sha256:1' }, null),
  ).toEqual([]);
  return resource;
}

async function signIn(
  url: string,
  idp: IdentityProvider,
  era: 'legacy' | '2026-07-28',
): Promise<string | null> {
  const { provider, endedAt } = createDesktop(idp);
  const connect = async () => {
    const mode = era === 'legacy' ? ('legacy' as const) : { pin: era };
    const client = new Client({ name: 'sign-in', version: '1.0.0' }, { versionNegotiation: { mode } });
    const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: provider });
    return { client, transport, connected: client.connect(transport) };
  };
  const first = await connect();
  await expect(first.connected).rejects.toThrow(UnauthorizedError);
  await first.transport.finishAuth(endedAt()?.searchParams as URLSearchParams);
  const { client, connected } = await connect();
  await connected;
  const { content } = await client.callTool({ name: 'test_simple_text', arguments: {} });
  await client.close();
  const [said] = content;
  return said?.type === 'text' ? said.text : null;
}

describe('an MCP client', () => {
  it('finds its way in with nothing but the URL, in both eras, and is recorded by name', async () => {
    const server: FixtureServer = await startFixtureServer();
    await using idp = await startIdentityProvider();
    await using recorder = await startTestRecorder({ upstream: server.url });
    try {
      const url = await enforce(recorder, idp);
      for (const era of ['legacy', '2026-07-28'] as const) {
        idp.signInAs(era === 'legacy' ? 'ada' : 'bob');
        expect(await signIn(url, idp, era)).toMatch(/./);
      }
      const lines = await recorder.finish();
      const results = lines.filter((line): line is ResultLine => line.type === 'result');
      const callers = results
        .filter(({ method }) => method === 'tools/call')
        .map(({ principal: { how, issuer, subject, name, groups } }) => ({
          how,
          issuer,
          subject,
          name,
          groups,
        }));
      const of = { how: 'oidc', issuer: idp.issuer };
      expect(callers).toEqual([
        { ...of, subject: 'ada', name: 'ada@example.com', groups: ['admins', 'dev'] },
        { ...of, subject: 'bob', name: 'bob@example.com', groups: ['dev'] },
      ]);
      expect(new Set(results.map(({ principal }) => principal.how))).toEqual(new Set(['oidc']));
      const denied = lines.filter((line): line is DeniedLine => line.type === 'denied');
      expect(new Set(denied.map((line) => line.denied.reason))).toEqual(new Set(['no_token']));
    } finally {
      await server.close();
    }
  });
});
