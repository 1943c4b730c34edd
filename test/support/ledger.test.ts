/** The ledger finds whatever a recording lacks, and nothing in a recording that has it all. */
import type { Line, RequestLine, ResponseLine } from '@mcp-recorder/recording/format/line';
import { expect, test } from 'vitest';
import { createLedger, type Ledger, missingFromRecording, openEntry } from './ledger.ts';
import { driveClients, startLedgerServer } from './ledger-traffic.ts';
import { eventually } from './poll.ts';
import { startTcpForwarder } from './tcp-forwarder.ts';

const REQUEST = '{"params":{"token":"token-a-0-0"}}';

function recorded(): Line[] {
  const head = { v: 1, stream: 's', seq: 0, time: 't', exchange: 'e', part: 0 } as const;
  const http = { method: null, target: null, client_address: null, headers: [] };
  const principal = {
    how: 'anonymous',
    issuer: null,
    subject: null,
    name: null,
    client_id: null,
    groups: [],
  };
  const text = (body: string) => ({ body, body_encoding: 'utf8' as const, wire_bytes: 0 });
  return [
    {
      ...head,
      type: 'request',
      principal,
      http: { ...http, status: null },
      ...text(REQUEST.slice(0, 20)),
    } as RequestLine,
    { ...head, type: 'chunk', sender: 'client', body_offset: 20, ...text(REQUEST.slice(20)) },
    {
      ...head,
      type: 'response',
      answered_by: 'server',
      content_coding: null,
      http: { ...http, status: 200 },
      body: null,
      body_encoding: null,
      wire_bytes: 0,
    } as ResponseLine,
    {
      ...head,
      type: 'event',
      sse: { prefix: 'data: ', suffix: '\n\n', id: null, data_lines: 1, partial: false },
      ...text('1'),
    },
    {
      ...head,
      type: 'chunk',
      sender: 'server',
      body_offset: 9,
      body: '/w==',
      body_encoding: 'base64',
      wire_bytes: 1,
    },
  ];
}

function received(): Ledger {
  const ledger = createLedger();
  openEntry(ledger.server, 'token-a-0-0').received = [Buffer.from(REQUEST)];
  const client = openEntry(ledger.client, 'token-a-0-0');
  client.status = 200;
  client.received = [Buffer.from('data: 1\n\n'), Buffer.of(255)];
  return ledger;
}

test('a recording of everything lacks nothing', () => {
  expect(missingFromRecording(received(), recorded())).toEqual([]);
});

test('a recording may hold more than either side received', () => {
  const ledger = received();
  ledger.client.get('token-a-0-0')?.received.pop();
  ledger.server.clear();
  ledger.beginnings.push(Buffer.from(REQUEST.slice(0, 5)));
  expect(missingFromRecording(ledger, recorded())).toEqual([]);
});

test.each([
  ['the request', 0, /server received/],
  ['the rest of the request', 1, /server received/],
  ['the response line', 2, /status 200/],
  ['an event', 3, /client received 10 bytes/],
  ['the last byte', 4, /client received 10 bytes/],
])('finds that %s was not recorded', (_, line, sentence) => {
  const lines = recorded();
  lines.splice(line, 1);
  expect(missingFromRecording(received(), lines).join('\n')).toMatch(sentence);
});

test('finds bytes of a request without a token that were not recorded', () => {
  const ledger = received();
  ledger.beginnings.push(Buffer.from('{"other'));
  expect(missingFromRecording(ledger, recorded())).toHaveLength(1);
});

test('finds a request that arrived twice', () => {
  const ledger = received();
  ledger.repeated.push('token-a-0-0');
  expect(missingFromRecording(ledger, recorded())).toHaveLength(1);
});

test('accepts a refusal that never reached the server, and nothing else unrecorded', () => {
  const ledger = createLedger();
  openEntry(ledger.client, 'token-a-1-0').status = 503;
  expect(missingFromRecording(ledger, [])).toEqual([]);
  openEntry(ledger.server, 'token-a-1-0');
  expect(missingFromRecording(ledger, [])).toHaveLength(2);
});

test('traffic that nobody disturbs is complete and the same on both sides', async () => {
  const ledger = createLedger();
  const server = await startLedgerServer(ledger);
  const stop = new AbortController();
  const driving = driveClients(ledger, { url: () => `${server.origin}/mcp`, clients: 8, until: stop.signal });
  await eventually(() => ledger.client.size >= 100, { withinMs: 20_000 });
  stop.abort();
  const driven = await driving;
  await server.close();
  expect(driven).toEqual({ completed: ledger.client.size, failed: 0 });
  expect([...ledger.server.keys()].sort()).toEqual([...ledger.client.keys()].sort());
  expect(ledger.repeated).toEqual([]);
  expect(new Set([...ledger.client.values()].map(({ status }) => status))).toEqual(new Set([200, 500]));
}, 30_000);

test('a cut connection leaves what did arrive in the ledger', async () => {
  const ledger = createLedger();
  const server = await startLedgerServer(ledger);
  const forwarder = await startTcpForwarder(Number(new URL(server.origin).port));
  const stop = new AbortController();
  const driving = driveClients(ledger, {
    url: () => `${forwarder.origin}/mcp`,
    clients: 2,
    until: stop.signal,
    shape: () => ({ answer: 'sse', events: 10_000, textBytes: 20, requestBytes: 20, pauseMs: 1 }),
  });
  const streaming = () => [...ledger.client.values()].every(({ received }) => received.length > 2);
  await eventually(() => ledger.client.size === 2 && streaming(), { withinMs: 10_000 });
  stop.abort();
  await forwarder.close();
  expect(await driving).toEqual({ completed: 0, failed: 2 });
  await server.close();
  expect(streaming()).toBe(true);
}, 20_000);
