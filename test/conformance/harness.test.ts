/**
 * Proves the comparison itself: it sees nothing behind a proxy that alters nothing, and it sees an alteration.
 */
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ServerProcess, startFixtureProcess } from '../support/server-process.ts';
import { startTcpForwarder } from '../support/tcp-forwarder.ts';
import { differences, runSuite, runSuites, SUITES, type SuiteRun } from './run.ts';

let server: ServerProcess;
let direct: SuiteRun[];

beforeAll(async () => {
  server = await startFixtureProcess();
  direct = await runSuites(server.url);
}, 60_000);

afterAll(() => server.stop());

test('the fixture server passes what each suite scores', () => {
  expect(direct.map(({ suite, passed }) => ({ suite, passed }))).toEqual([
    { suite: '0.1.16 all', passed: true },
    { suite: '0.2 2025-11-25', passed: true },
    { suite: '0.2 2026-07-28', passed: true },
  ]);
});

test('every scenario of the suites was run', () => {
  const counts = direct.map(({ verdicts }) => Object.keys(verdicts).length);
  expect(counts).toEqual([32, 33, 50]);
  expect(direct[2]?.verdicts['input-required-result-multi-round']).toContain(
    'sep-2322-multi-round-r1 SUCCESS',
  );
});

test('a proxy that forwards bytes gives the verdicts of the server', async () => {
  const forwarder = await startTcpForwarder(Number(new URL(server.url).port));
  try {
    const through = await runSuites(`${forwarder.origin}/mcp`);
    expect(differences(direct, through)).toEqual([]);
    expect(forwarder.connections()).toBeGreaterThan(0);
  } finally {
    await forwarder.close();
  }
}, 60_000);

test('a proxy that drops one header is found, and the scenarios are named', async () => {
  const suite = SUITES[2];
  if (suite === undefined) {
    throw new Error('no third suite');
  }
  const proxy = createServer((req, res) => {
    const { 'mcp-method': _dropped, ...headers } = req.headers;
    const onward = request(server.url, { method: req.method ?? 'GET', headers }, (answer) => {
      res.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(res);
    });
    onward.on('error', () => res.destroy());
    req.pipe(onward);
  });
  await new Promise<void>((ready) => proxy.listen(0, '127.0.0.1', ready));
  try {
    const through = await runSuite(suite, `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/mcp`);
    const found = differences(direct.slice(2), [through]);
    expect(found.some((difference) => difference.includes('tools-call-simple-text'))).toBe(true);
  } finally {
    proxy.closeAllConnections();
    proxy.close();
  }
}, 60_000);
