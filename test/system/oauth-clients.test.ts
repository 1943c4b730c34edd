/**
 * Real clients go the whole way through the recorder with nothing configured but its URL: a 401, its metadata, the identity provider, a token
 * for this resource, and the calls, which are recorded as the person's. Each client has its own code for all of that.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import {
  Client,
  type OAuthClientProvider,
  type StoredOAuthClientInformation,
  type StoredOAuthTokens,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import type { Line, RequestLine } from '@mcp-recorder/recording/format/line';
import { readSegments } from '@mcp-recorder/recording/read/store-reader';
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FixtureServer, startFixtureServer } from '../support/fixture-server.ts';
import { type IdentityProvider, startIdentityProvider } from '../support/identity-provider.ts';
import { DESKTOP } from '../support/identity-provider-settings.ts';
import { type RecorderProcess, startRecorderProcess } from '../support/recorder-process.ts';
import { steadyPort } from '../support/steady-port.ts';

const MODULES = path.join(import.meta.dirname, '../../node_modules');
const MCP_REMOTE = path.join(MODULES, 'mcp-remote/dist/proxy.js');
const INSPECTOR = path.join(MODULES, '@modelcontextprotocol/inspector/clients/launcher/build/index.js');
const TOOL = 'test_simple_text';
const ADA = { how: 'oidc', subject: 'ada', name: 'ada@example.com', groups: ['admins', 'dev'] };

let directory: string;
let provider: IdentityProvider;
let server: FixtureServer;
let recorder: RecorderProcess;
/** What clients are told: the recorder's URL and nothing else. */
let url: string;
/** Tokens and secrets that went over the wire, as far as the test sees them. */
const secrets: string[] = [];

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'oauth-clients-'));
  const port = await steadyPort();
  url = `http://127.0.0.1:${port}/mcp`;
  [provider, server] = await Promise.all([startIdentityProvider(), startFixtureServer()]);
  recorder = await startRecorderProcess({
    upstream: new URL(server.url).origin,
    directory,
    port,
    configuration: `auth:
  resource: ${url}
  scopes: [mcp:use]
  oidc: [{issuer: '${provider.issuer}', nameClaim: email}]
rules:
  - {name: admins-only, when: 'mcp.tool == "test_image_content" && !("admins" in principal.groups)', action: Deny, message: Ask an admin}
`,
  });
});
afterAll(async () => {
  await recorder.stop();
  await server.close();
  await provider[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

/** The person says yes to what a client asks for: a token for this resource (RFC 8707). @returns where the browser is sent then */
async function authorize(address: URL): Promise<URL> {
  expect(address.searchParams.get('resource')).toBe(url);
  return await provider.authorize(address);
}

/** What the SDK keeps for a person; a browser that clicks on yes. */
function createPerson(registered: StoredOAuthClientInformation | null) {
  const redirectUrl = DESKTOP.redirectUri;
  let client = registered ?? undefined;
  let tokens: StoredOAuthTokens | undefined;
  let verifier = '';
  let callback: URL | null = null;
  let discovered: Parameters<NonNullable<OAuthClientProvider['saveDiscoveryState']>>[0] | undefined;
  const person: OAuthClientProvider & { readonly callback: URL | null } = {
    redirectUrl,
    clientMetadata: {
      client_name: 'oauth-clients',
      redirect_uris: [redirectUrl],
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
    } as OAuthClientProvider['clientMetadata'],
    clientInformation: () => client,
    ...(registered === null
      ? { saveClientInformation: (given: StoredOAuthClientInformation) => void (client = given) }
      : {}),
    tokens: () => tokens,
    saveTokens(given) {
      tokens = given;
      secrets.push(given.access_token);
    },
    async redirectToAuthorization(authorization) {
      callback = await authorize(authorization);
    },
    saveCodeVerifier: (given) => void (verifier = given),
    codeVerifier: () => verifier,
    saveDiscoveryState: (given) => void (discovered = given),
    discoveryState: () => discovered,
    get callback() {
      return callback;
    },
  };
  return person;
}

type Era = 'legacy' | 'auto';

async function connect(name: string, person: ReturnType<typeof createPerson>, era: Era): Promise<Client> {
  const open = () => {
    const client = new Client({ name, version: '1.0.0' }, { versionNegotiation: { mode: era } });
    return { client, transport: new StreamableHTTPClientTransport(new URL(url), { authProvider: person }) };
  };
  const refused = open();
  await expect(refused.client.connect(refused.transport)).rejects.toThrow(UnauthorizedError);
  if (person.callback === null) throw new Error('the client asked nobody to sign in');
  await refused.transport.finishAuth(person.callback.searchParams);
  const { client, transport } = open();
  await client.connect(transport);
  return client;
}

const textOf = ({ content }: Awaited<ReturnType<Client['callTool']>>): string | null =>
  content[0]?.type === 'text' ? content[0].text : null;

/** The requests in the store with a call that this client marked as its own, once there are some. */
async function recordedCalls(name: string): Promise<RequestLine[]> {
  const isOwn = (line: Line): line is RequestLine =>
    line.type === 'request' && line.body?.includes(`"by":"${name}"`) === true;
  let calls: RequestLine[] = [];
  const look = async () => {
    calls = (await storedLines()).filter(isOwn);
    return calls.length;
  };
  await expect.poll(look, { timeout: 30_000, interval: 500 }).toBeGreaterThan(0);
  return calls;
}

async function storedLines(): Promise<Line[]> {
  const lines: Line[] = [];
  const onUnreadable = ({ message }: { message: string }): void => {
    throw new Error(message);
  };
  for await (const segment of readSegments(createDirectoryStore(recorder.store), { onUnreadable })) {
    for (const { line } of segment.lines()) lines.push(line);
  }
  return lines;
}

/** Where a program that has no browser asks the person to go; the person goes there, and says yes. */
async function signIn(said: Readable, pattern: RegExp): Promise<string> {
  let heard = '';
  let went = false;
  for await (const piece of said) {
    heard += String(piece);
    const [, address] = went ? [] : (pattern.exec(heard) ?? []);
    if (address === undefined) continue;
    went = true;
    await (await fetch(await authorize(new URL(address)))).text();
  }
  return heard;
}

/** A home of its own, and a browser that does nothing. */
const surroundings = (name: string): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '',
  HOME: path.join(directory, name),
  BROWSER: '/bin/true',
});

describe('OAuth through the recorder', () => {
  it.each<[string, StoredOAuthClientInformation | null, Era]>([
    ['sdk-registers-itself', null, 'legacy'],
    ['sdk-registers-itself-now', null, 'auto'],
    ['sdk-is-registered', { client_id: DESKTOP.id }, 'auto'],
  ])('the SDK client %s', async (name, registered, era) => {
    const client = await connect(name, createPerson(registered), era);
    expect(textOf(await client.callTool({ name: TOOL, arguments: { by: name } }))).toContain('simple text');
    await client.close();
    for (const { principal } of await recordedCalls(name)) {
      expect(principal).toMatchObject({ ...ADA, issuer: provider.issuer });
      if (registered !== null) expect(principal.client_id).toBe(DESKTOP.id);
    }
  });

  it('mcp-remote, which speaks stdio to its program', async () => {
    const transport = new StdioClientTransport({
      command: process.execPath,
      args: [MCP_REMOTE, url, '--host', '127.0.0.1'],
      env: { ...surroundings('remote'), MCP_REMOTE_CONFIG_DIR: path.join(directory, 'remote') },
      stderr: 'pipe',
    });
    const said = signIn(transport.stderr as Readable, /by visiting:\s+(http:\S+)/);
    const client = new Client({ name: 'behind-mcp-remote', version: '1.0.0' });
    await client.connect(transport, { timeout: 60_000 });
    const called = await client.callTool({ name: TOOL, arguments: { by: 'mcp-remote' } });
    expect(textOf(called)).toContain('simple text');
    await client.close();
    await said;
    for (const { principal } of await recordedCalls('mcp-remote')) expect(principal).toMatchObject(ADA);
  });

  it('the inspector, on the command line', async () => {
    const port = await steadyPort();
    const callback = `http://127.0.0.1:${port}/oauth/callback`;
    const what = [
      '--method',
      'tools/call',
      '--tool-name',
      TOOL,
      '--tool-arg',
      'by=inspector',
      '--format',
      'json',
    ];
    const child = spawn(
      process.execPath,
      [INSPECTOR, '--cli', url, '--transport', 'http', '--callback-url', callback, ...what],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        // Without a terminal it asks for nothing unless it is told that somebody is there.
        env: {
          ...surroundings('inspector'),
          MCP_AUTO_OPEN_ENABLED: 'true',
          MCP_STORAGE_DIR: path.join(directory, 'inspector'),
        },
      },
    );
    const [answer, said] = await Promise.all([
      text(child.stdout),
      signIn(child.stderr, /navigate to: (http:\S+)/),
    ]);
    expect(answer, said).toContain('simple text');
    for (const { principal } of await recordedCalls('inspector')) expect(principal).toMatchObject(ADA);
  });

  it('a rule tells the persons apart', async () => {
    const of = async (who: string) => {
      provider.signInAs(who);
      try {
        const client = await connect(`calls-as-${who}`, createPerson({ client_id: DESKTOP.id }), 'auto');
        return await client
          .callTool({ name: 'test_image_content', arguments: { by: who } })
          .finally(() => client.close());
      } finally {
        provider.signInAs('ada');
      }
    };
    expect((await of('ada')).isError).not.toBe(true);
    await expect(of('bob')).rejects.toThrow(/Ask an admin/);
    const [call] = await recordedCalls('bob');
    expect(call).toMatchObject({
      principal: { subject: 'bob', groups: ['dev'] },
      calls: [{ decision: { action: 'deny', rule: 'admins-only' } }],
    });
  });

  it('has recorded that each was refused first, and no token', async () => {
    await recorder.stop();
    const lines = await storedLines();
    const denied = lines.filter((line) => line.type === 'denied').map(({ denied: { reason } }) => reason);
    expect(new Set(denied)).toEqual(new Set(['no_token']));
    const all = JSON.stringify(lines) + recorder.process.output();
    expect(secrets).not.toHaveLength(0);
    for (const secret of secrets) expect(all).not.toContain(secret);
    expect(all).not.toMatch(/eyJ[\w-]{10}/);
    // Every call is somebody's.
    const callers = lines.filter((line) => line.type === 'request').map(({ principal }) => principal.how);
    expect(new Set(callers)).toEqual(new Set(['oidc']));
  });
});
