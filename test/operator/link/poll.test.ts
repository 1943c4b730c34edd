/**
 * One question to a sidecar's status port is bounded in time and size, and says in words what went wrong.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type PollResult, pollLink } from '../../../operator/link/poll.ts';
import { freePort } from '../../support/child-process.ts';
import { healthyLink, type StatusPort, startStatusPort } from '../../support/status-port.ts';

let sidecar: StatusPort;
beforeAll(async () => {
  sidecar = await startStatusPort();
});
afterAll(() => sidecar?.close());

function poll(timeoutMs?: number): Promise<PollResult> {
  return pollLink({ host: '127.0.0.1', port: sidecar.port, secureContext: sidecar.secureContext }, timeoutMs);
}

async function why(timeoutMs?: number): Promise<string> {
  const result = await poll(timeoutMs);
  return result.ok ? 'it was answered' : result.why;
}

it('gives the answer of a recorder, with the certificate that the operator showed', async () => {
  sidecar.answer(healthyLink());
  expect(await poll()).toMatchObject({
    ok: true,
    link: { token: 'token-1', status: { gate: { state: 'Open' } }, server: { port: 8080, listens: 'any' } },
  });
  expect(sidecar.client()).toBe('127.0.0.1');
});

it('makes a new connection for every question', async () => {
  const ports = new Set<number | undefined>();
  sidecar.answer((request, response) => {
    ports.add(request.socket.remotePort);
    response.end(JSON.stringify(healthyLink()));
  });
  await poll();
  await poll();
  expect(ports.size).toBe(2);
});

it('takes an answer that says more than it knows', async () => {
  sidecar.answer({ ...healthyLink(), head: { seq: 7 } });
  expect(await poll()).toMatchObject({ ok: true });
});

it('quotes a refusal', async () => {
  sidecar.answer((_, response) => response.writeHead(403).end('{"error":"show the certificate"}'));
  expect(await why()).toContain('answered 403: {"error":"show the certificate"}');
});

it('says which part of an answer is not a recorder of its version', async () => {
  sidecar.answer(healthyLink({ server: { listens: 'perhaps' } }));
  expect(await why()).toMatch(/not as a recorder of this version does: server\.listens/);
  sidecar.answer('<html>');
  expect(await why()).toMatch(/not as a recorder/);
});

it('reads no more than 256 KiB', async () => {
  sidecar.answer({ ...healthyLink(), more: 'x'.repeat(270_000) });
  expect(await why()).toContain('larger than 262144 bytes');
});

it('waits for a silent recorder, and for one that stops in its answer, no longer than it was told', async () => {
  sidecar.answer(() => {});
  const startedMs = performance.now();
  expect(await why(200)).toContain('nothing within 200 ms');
  sidecar.answer((_, response) => response.write('{'));
  expect(await why(200)).toContain('nothing within 200 ms');
  expect(performance.now() - startedMs).toBeLessThan(2_000);
});

it('says that an answer broke off', async () => {
  sidecar.answer((request, response) => {
    response.writeHead(200, { 'content-length': 100 });
    response.write('{', () => request.socket.destroy());
  });
  expect(await why()).toMatch(/aborted|broke off/);
});

it('says where nothing listens', async () => {
  const port = await freePort();
  const result = await pollLink({ host: '127.0.0.1', port, secureContext: sidecar.secureContext });
  expect(result).toEqual({
    ok: false,
    why: `the recorder's status port 127.0.0.1:${port} did not answer: connect ECONNREFUSED 127.0.0.1:${port}`,
  });
});
