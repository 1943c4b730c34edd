/** The API server as issuer of service account tokens: what it says, and what is kept of it while it rotates keys or does not answer. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createClient, type KubeClient } from '../../../operator/kube/client.ts';
import { followClusterIssuer } from '../../../operator/reconcile/cluster-issuer.ts';
import { type ControlPlane, startControlPlane } from '../../support/control-plane.ts';
import { eventually } from '../../support/poll.ts';

const ending: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

const key = (kid: string) => ({ kty: 'OKP', crv: 'Ed25519', kid, x: 'x' });

/** Stands for an API server whose keys change, which a real one only does by a restart with other files. */
async function issuerWith(state: { keys: object[]; status: number; asked?: number }): Promise<KubeClient> {
  const server = http.createServer(({ url }, response) => {
    state.asked = (state.asked ?? 0) + 1;
    const body = url === '/openid/v1/jwks' ? { keys: state.keys } : { issuer: 'https://cluster.example.com' };
    response.writeHead(state.status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const { port } = server.address() as AddressInfo;
  const tls = { ca: null, cert: null, key: null, servername: null };
  const access = { origin: `http://127.0.0.1:${port}`, namespace: null, token: () => null, tls: () => tls };
  const client = createClient({ access, fieldManager: 'test' });
  ending.push(
    () => server.close(),
    () => client.close(),
  );
  return client;
}

function follow(client: KubeClient) {
  let changes = 0;
  const log = pino({ level: 'silent' });
  const issuer = followClusterIssuer({ client, changed: () => (changes += 1), log, everyMs: 20 });
  ending.push(() => issuer.close());
  return { issuer, changes: () => changes };
}

describe('the keys of the cluster', () => {
  it('are those of today, each change is news, and another order is none', async () => {
    const state = { keys: [key('a'), key('b')], status: 200, asked: 0 };
    const { issuer, changes } = follow(await issuerWith(state));
    await issuer.askedOnce;
    const known = { issuer: 'https://cluster.example.com', keys: [key('a'), key('b')] };
    expect(issuer.current).toEqual({ known, problem: null });
    expect(changes()).toBe(1);
    state.keys = [key('b'), key('a')];
    const { asked } = state;
    // Both of its questions twice: the second time both were after the change.
    await eventually(() => expect(state.asked).toBeGreaterThanOrEqual(asked + 4), { withinMs: 5_000 });
    expect(changes()).toBe(1);
    state.keys = [key('c'), key('b'), key('a')];
    await eventually(() => expect(issuer.current.known?.keys).toHaveLength(3), { withinMs: 5_000 });
    expect(changes()).toBe(2);
  });

  it('stay while the API server does not tell them, which is told', async () => {
    const state = { keys: [key('a')], status: 200 };
    const { issuer, changes } = follow(await issuerWith(state));
    await issuer.askedOnce;
    const { known } = issuer.current;
    state.status = 403;
    await eventually(() => expect(issuer.current.problem).toContain('403'), { withinMs: 5_000 });
    expect(issuer.current.known).toEqual(known);
    state.status = 200;
    await eventually(() => expect(issuer.current.problem).toBeNull(), { withinMs: 5_000 });
    expect(changes()).toBe(3);
  });

  it('are unknown where there are none, and that is told', async () => {
    const { issuer } = follow(await issuerWith({ keys: [], status: 200 }));
    await issuer.askedOnce;
    expect(issuer.current.known).toBeNull();
    expect(issuer.current.problem).toContain('an issuer and its keys are missing');
  });
});

describe('a real API server', () => {
  let plane: ControlPlane;
  beforeAll(async () => {
    plane = await startControlPlane();
  }, 120_000);
  afterAll(() => plane?.stop());

  it('says who issues the tokens of its service accounts, and with which keys', async () => {
    await plane.createNamespace('tools');
    const client = plane.client();
    await client.create(
      { group: '', version: 'v1', plural: 'serviceaccounts', kind: 'ServiceAccount', namespaced: true },
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'caller', namespace: 'tools' } },
    );
    const token = await plane.serviceAccountToken('tools', 'caller', ['https://mcp.example.com']);
    const [head, claims] = token
      .split('.')
      .slice(0, 2)
      .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString('utf8')));
    const { issuer, keys } = await client.tokenIssuer();
    expect(claims.iss).toBe(issuer);
    expect(keys.map(({ kid }) => kid)).toContain(head.kid);
  });
});
