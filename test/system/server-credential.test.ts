/**
 * The server gets a credential of its own in the caller's place: the one that is in force, while it is rotated, and nobody else ever sees it.
 */
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rename, rm, symlink, writeFile, mkdir } from 'node:fs/promises';
import http, { type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startProvider, type TestProvider } from '../credential/provider.ts';
import { eventually } from '../support/poll.ts';
import { type RecorderProcess, startRecorderProcess } from '../support/recorder-process.ts';

const CALLERS = 'token-of-the-caller-0123456789';
const SECRETS = ['first-secret-0123456789', 'second-secret-0123456789'] as const;
const SOON = { withinMs: 30_000 };
const CALL = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'echo', arguments: {} } };

let server: http.Server;
/** Headers of what the server was asked. */
const asked: IncomingHttpHeaders[] = [];
let provider: TestProvider;
let directory: string;
let recorder: RecorderProcess | null = null;

beforeAll(async () => {
  provider = await startProvider();
  server = http.createServer((request, response) => {
    asked.push(request.headers);
    request.resume();
    response.setHeader('content-type', 'application/json');
    response.end('{"jsonrpc":"2.0","id":1,"result":{"content":[]}}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(async () => {
  server.close();
  await provider.close();
});
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'server-credential-'));
  asked.length = 0;
});
afterEach(async () => {
  await recorder?.stop();
  recorder = null;
  await rm(directory, { recursive: true });
});

const place = (name: string): string => path.join(directory, name);

async function record(credential: string): Promise<RecorderProcess> {
  recorder = await startRecorderProcess({
    upstream: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    directory,
    configuration: `server: {credential: ${credential}}\n`,
  });
  return recorder;
}

async function call({
  origin,
}: RecorderProcess): Promise<{ status: number; body: string; sent: string | undefined }> {
  const before = asked.length;
  const response = await fetch(`${origin}/mcp`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${CALLERS}`, 'x-api-key': CALLERS },
    body: JSON.stringify(CALL),
  });
  return { status: response.status, body: await response.text(), sent: asked[before]?.authorization };
}

/** Everything that the recorder wrote anywhere, or says of itself, once it has ended. */
async function everything({ status, stop, process, store }: RecorderProcess): Promise<string> {
  const said = await Promise.all(
    ['/metrics', '/status'].map(async (page) => (await fetch(status + page)).text()),
  );
  await stop();
  const files: string[] = [];
  for (const folder of [store, place('spool')]) {
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const bytes = await readFile(path.join(entry.parentPath, entry.name));
      files.push((entry.name.endsWith('.zst') ? zstdDecompressSync(bytes) : bytes).toString('latin1'));
    }
  }
  expect(files.join('')).toContain('tools/call');
  return [...said, process.output(), ...files].join('\n');
}

async function expectNone(of: RecorderProcess, ...secrets: string[]): Promise<void> {
  const all = await everything(of);
  const forms = secrets.flatMap((secret) => [secret, Buffer.from(secret).toString('base64').slice(2, -4)]);
  for (const form of [...forms, CALLERS]) expect(all).not.toContain(form);
}

describe("the server's credential", () => {
  it('is exchanged with the Secret that it is mounted from, without a restart', async () => {
    for (const [number, secret] of SECRETS.entries()) {
      await mkdir(place(`..${number}`));
      await writeFile(place(`..${number}/token`), secret);
    }
    await symlink('..0', place('..data'));
    await symlink('..data/token', place('token'));
    const running = await record(`{bearer: {tokenFile: ${place('token')}}}`);
    expect((await call(running)).sent).toBe(`Bearer ${SECRETS[0]}`);
    await symlink('..1', place('..new'));
    await rename(place('..new'), place('..data'));
    await eventually(async () => (await call(running)).sent === `Bearer ${SECRETS[1]}`, SOON);
    await expectNone(running, ...SECRETS);
  });

  it('takes the place of every header of its name, and the token of the caller goes where it is asked to', async () => {
    await writeFile(place('key'), SECRETS[0]);
    const running = await record(`{header: {name: X-Api-Key, valueFile: ${place('key')}}}`);
    expect((await call(running)).sent).toBe(`Bearer ${CALLERS}`);
    expect(asked[0]?.['x-api-key']).toBe(SECRETS[0]);
    await expectNone(running, SECRETS[0]);
  });

  it('is a token of the identity provider, and a call that it can not be got for never reaches the server', async () => {
    provider.secrets.set('recorder', SECRETS[0]);
    await writeFile(place('id'), 'recorder');
    await writeFile(place('secret'), SECRETS[1]);
    const running = await record(
      `{clientCredentials: {issuer: '${provider.issuer}', clientIdFile: ${place('id')}, clientSecretFile: ${place('secret')}}}`,
    );
    const refused = await call(running);
    expect([refused.status, refused.sent]).toEqual([503, undefined]);
    expect(asked).toHaveLength(0);
    await writeFile(place('secret'), SECRETS[0]);
    const token = await eventually(async () => (await call(running)).sent ?? false, SOON);
    expect(token).toMatch(/^Bearer [\w-]{20,}/);
    await expectNone(running, ...SECRETS, token.slice('Bearer '.length));
  });
});
