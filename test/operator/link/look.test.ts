/**
 * Looks at recorded pods: whole, of proven recorders, again within their time, and news only when something is new.
 */
import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Look } from '../../../operator/desired/observed.ts';
import type { TokenFacts } from '../../../operator/kube/client.ts';
import { createLooks, type LookTarget, type Looks } from '../../../operator/link/look.ts';
import { createTokenProofs, type TokenProofs } from '../../../operator/link/token.ts';
import { freePort } from '../../support/child-process.ts';
import { eventually } from '../../support/poll.ts';
import { healthyLink, type StatusPort, startStatusPort } from '../../support/status-port.ts';

const KEY = 'tools/github';
const SOON = { withinMs: 5_000 };

let sidecar: StatusPort;
let looks: Looks;
let changed: string[];
let finished: Look[];
let reviewFails: boolean;
let closedPort: number;
let atOnce: { now: number; most: number };

beforeEach(async () => {
  sidecar = await startStatusPort();
  closedPort = await freePort();
  changed = [];
  finished = [];
  reviewFails = false;
  atOnce = { now: 0, most: 0 };
  looks = start();
});
afterEach(async () => {
  await looks.stop();
  await sidecar.close();
});

function start(
  concurrency?: number,
  proofs: TokenProofs = createTokenProofs({ review, nowMs: Date.now }),
): Looks {
  return createLooks(
    {
      secureContext: () => sidecar.secureContext,
      proofs,
      changed: (key) => changed.push(key),
      finished: (look) => finished.push(look),
      nowMs: () => performance.now(),
      random: () => 0,
    },
    concurrency,
  );
}

/** Tokens are named after the pod that they are of. */
async function review(token: string): Promise<TokenFacts> {
  if (reviewFails) throw new Error('create tokenreviews: Unreachable');
  const extra = {
    'authentication.kubernetes.io/pod-name': [token],
    'authentication.kubernetes.io/pod-uid': [token],
  };
  return {
    authenticated: true,
    username: 'system:serviceaccount:tools:default',
    groups: [],
    extra,
    audiences: ['mcp-recorder-operator'],
    error: null,
  };
}

function target(uid = 'token-1', serverPort: number | null = closedPort): LookTarget {
  const pod = { namespace: 'tools', name: uid, uid };
  return { ...pod, host: '127.0.0.1', addresses: ['127.0.0.1'], statusPort: sidecar.port, serverPort };
}

function look(uid = 'token-1'): Look | false {
  return looks.of(KEY).get(uid) ?? false;
}

async function listen(host = '127.0.0.1'): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => socket.on('error', () => {}));
  await new Promise<void>((bound) => server.listen(0, host, bound));
  return { server, port: (server.address() as AddressInfo).port };
}

it('asks the recorder, tries to pass it by, and asks again', async () => {
  looks.watch(KEY, [target()]);
  expect(await eventually(look, SOON)).toMatchObject({
    link: { ok: true, answer: { proven: true, server: { listens: 'any', foreignConnections: [] } } },
    dial: 'refused',
  });
  expect(sidecar.asked()).toBe(2);
  expect(changed).toEqual([KEY]);
});

it('says that a connection was made, whether the recorder answers or not', async () => {
  const { server, port } = await listen();
  sidecar.answer('no recorder');
  looks.watch(KEY, [target('token-1', port)]);
  expect(await eventually(look, SOON)).toMatchObject({ link: { ok: false }, dial: 'connected' });
  server.close();
});

it('tries every address of the pod, and one that is open is enough', async () => {
  const { server, port } = await listen('::1');
  looks.watch(KEY, [{ ...target('token-1', port), addresses: ['127.0.0.1', '::1'] }]);
  expect(await eventually(look, SOON)).toMatchObject({ link: { ok: true }, dial: 'connected' });
  server.close();
});

it('asks the recorder also where nothing is to be tried', async () => {
  looks.watch(KEY, [target('token-1', null)]);
  expect(await eventually(look, SOON)).toMatchObject({ link: { ok: true }, dial: 'not-tried' });
});

it('counts an answer before the attempt for nothing when none came after it', async () => {
  sidecar.answer((_, response) => {
    if (sidecar.asked() === 1) response.end(JSON.stringify(healthyLink()));
    else response.writeHead(503).end('gone');
  });
  looks.watch(KEY, [target()]);
  expect(await eventually(look, SOON)).toMatchObject({
    link: { ok: false, why: expect.stringContaining('503: gone') },
  });
});

it('does not take another pod, nor a recorder without a token, for the one it looks at', async () => {
  looks.watch(KEY, [target('pod-2')]);
  expect(await eventually(() => look('pod-2'), SOON)).toMatchObject({
    link: { ok: true, answer: { proven: false } },
  });
  sidecar.answer({ ...healthyLink(), token: null });
  looks.watch(KEY, [target('pod-3')]);
  expect(await eventually(() => look('pod-3'), SOON)).toMatchObject({
    link: { ok: true, answer: { proven: false } },
  });
});

it('wants the recorder before and after to be the same pod', async () => {
  sidecar.answer((_, response) =>
    response.end(JSON.stringify(healthyLink({ token: sidecar.asked() === 1 ? 'pod-2' : 'token-1' }))),
  );
  looks.watch(KEY, [target()]);
  expect(await eventually(look, SOON)).toMatchObject({ link: { ok: true, answer: { proven: false } } });
});

it('says that the API server could not be asked about a token', async () => {
  reviewFails = true;
  looks.watch(KEY, [target()]);
  expect(await eventually(look, SOON)).toMatchObject({
    link: { ok: false, why: expect.stringContaining('tokenreviews: Unreachable') },
  });
});

it('tells of what is new, and of nothing else', async () => {
  looks.watch(KEY, [target()]);
  await eventually(() => finished.length === 1, SOON);
  looks.soon(KEY);
  await eventually(() => finished.length === 2, SOON);
  expect(changed).toHaveLength(1);
  sidecar.answer(healthyLink({ server: { foreign_connections: ['10.0.0.9:4000'] } }));
  looks.soon(KEY);
  await eventually(() => changed.length === 2, SOON);
  sidecar.answer(
    healthyLink({ server: { foreign_connections: ['10.0.0.9:4000'] }, gate: { message: 'for 31 s' } }),
  );
  looks.soon(KEY);
  await eventually(() => finished.length === 4, SOON);
  expect(changed).toHaveLength(2);
  expect(look()).toMatchObject({ link: { answer: { status: { gate: { message: 'for 31 s' } } } } });
});

it('looks again within ten seconds by itself', async () => {
  looks.watch(KEY, [target()]);
  const first = await eventually(look, SOON);
  const second = await eventually(() => (look() === first ? false : look()), { withinMs: 10_000 });
  expect((second as Look).atMs - (first as Look).atMs).toBeLessThan(10_000);
});

it('forgets a pod that is gone, and what was seen of a pod whose address or port is another', async () => {
  looks.watch(KEY, [target(), target('pod-2')]);
  await eventually(() => looks.of(KEY).size === 2, SOON);
  looks.watch(KEY, [target('token-1', await freePort())]);
  expect(looks.of(KEY).size).toBe(0);
  await eventually(look, SOON);
  looks.watch(KEY, []);
  expect(looks.of(KEY).size).toBe(0);
});

it('keeps nothing of the token of a pod that goes while it is looked at', async () => {
  const proofs = createTokenProofs({ review, nowMs: Date.now });
  const kept = new Set<string>();
  looks = start(undefined, {
    async prove(token, pod) {
      const verdict = await proofs.prove(token, pod);
      kept.add(pod.uid);
      return verdict;
    },
    forget(uid) {
      proofs.forget(uid);
      kept.delete(uid);
    },
  });
  sidecar.answer((_, response) => {
    looks.watch(KEY, []);
    response.end(JSON.stringify(healthyLink()));
  });
  looks.watch(KEY, [target()]);
  await eventually(() => sidecar.asked() === 2, SOON);
  await looks.stop();
  expect([...kept]).toEqual([]);
});

it('is about no more pods at once than it may', async () => {
  looks = start(3);
  sidecar.answer((_, response) => {
    atOnce.now += 1;
    atOnce.most = Math.max(atOnce.most, atOnce.now);
    setTimeout(() => {
      atOnce.now -= 1;
      response.end(JSON.stringify(healthyLink()));
    }, 20);
  });
  looks.watch(
    KEY,
    Array.from({ length: 12 }, (_, n) => target(`pod-${n}`)),
  );
  await eventually(() => looks.of(KEY).size === 12, SOON);
  expect(atOnce.most).toBe(3);
});

it('ends when it is stopped: nobody is asked any more', async () => {
  looks.watch(KEY, [target(), target('pod-2')]);
  await eventually(() => looks.of(KEY).size === 2, SOON);
  looks.soon(KEY);
  await looks.stop();
  const asked = sidecar.asked();
  looks.soon(KEY);
  expect(looks.of(KEY).size).toBe(0);
  await eventually(() => sidecar.asked() === asked, SOON);
});
