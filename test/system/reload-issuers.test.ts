/**
 * Issuers that are down when a recorder starts, or when its configuration changes.
 */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AuthConfiguration } from '../../sidecar/config/access.ts';
import { type IdentityProvider, startIdentityProvider } from '../support/identity-provider.ts';
import { eventually } from '../support/poll.ts';
import { startTestRecorder, type TestRecorder } from '../support/recorder.ts';

const RESOURCE = 'https://mcp.example.com/github';

let upstream: http.Server;
let idp: IdentityProvider;
let recorder: TestRecorder;

beforeEach(async () => {
  upstream = http.createServer((_, response) => {
    response.setHeader('content-type', 'application/json');
    response.end('{"jsonrpc":"2.0","id":1,"result":{}}');
  });
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  idp = await startIdentityProvider();
});
afterEach(async () => {
  await recorder[Symbol.asyncDispose]();
  await idp[Symbol.asyncDispose]();
  upstream.closeAllConnections();
  upstream.close();
});

const authOf = (groupsClaim: string | null): AuthConfiguration => ({
  mode: 'Enforce',
  resource: RESOURCE,
  scopes: [],
  allowedOrigins: null,
  clockSkewMs: 60_000,
  maxKeyAgeMs: 3_600_000,
  issuers: [
    {
      how: 'oidc',
      issuer: idp.issuer,
      audiences: [RESOURCE],
      algorithms: ['RS256'],
      groupsClaim,
      nameClaim: 'name',
      scopes: [],
      ca: null,
      jwks: null,
    },
  ],
});

async function start(): Promise<void> {
  const { port } = upstream.address() as AddressInfo;
  recorder = await startTestRecorder({
    upstream: `http://127.0.0.1:${port}`,
    access: { auth: authOf(null), server: { callerToken: 'Remove' } },
  });
}

async function call(token: string): Promise<number> {
  const response = await fetch(`${recorder.origin}/mcp`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}',
  });
  await response.text();
  return response.status;
}

async function issuer(): Promise<{ state: string; problem: string | null; keys_age_seconds: number | null }> {
  const { auth } = (await (await fetch(`${recorder.statusOrigin}/status`)).json()) as {
    auth: { issuers: Awaited<ReturnType<typeof issuer>>[] };
  };
  return auth.issuers[0] as Awaited<ReturnType<typeof issuer>>;
}

describe('an issuer that is down', () => {
  it('keeps no recorder from starting: calls are refused for that reason until it is there', async () => {
    const token = await idp.machineToken({ resource: RESOURCE });
    await idp.down();
    await start();
    expect(await call(token)).toBe(503);
    await eventually(async () => (await issuer()).problem !== null, { withinMs: 10_000 });
    expect(await issuer()).toMatchObject({ state: 'Unavailable', keys_age_seconds: null });
    await idp.up();
    await eventually(async () => (await call(token)) === 200, { withinMs: 30_000, everyMs: 500 });
    expect(await issuer()).toMatchObject({ state: 'Ok', problem: null });
  });

  it('fails no call when the configuration changes: keys that were fetched are used on', async () => {
    await start();
    const token = await idp.machineToken({ resource: RESOURCE });
    expect(await call(token)).toBe(200);
    await idp.down();
    const { configuration } = recorder;
    for (const claim of ['groups', 'roles']) {
      const wanted = { ...configuration, auth: authOf(claim), digest: claim };
      expect(await recorder.recorder.reconfigure(wanted, null)).toEqual([]);
      expect(await call(token)).toBe(200);
    }
    const lines = await recorder.finish();
    expect(lines.filter((line) => line.type === 'config')).toHaveLength(2);
  });
});
