/**
 * One slow, silent or talkative peer is nobody else's business: what it makes wait is its own exchange.
 */
import type http from 'node:http';
import net from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { eventually } from '../support/poll.ts';
import { answerCall, openRig, type Rig } from './rig.ts';

const NOTIFICATIONS = 10_000;
const GROWTH_BYTES = 100e6;
const NOTE = '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}';
const EVENT = `data: {"jsonrpc":"2.0","method":"notifications/message","params":{"data":"${'x'.repeat(900)}"}}\n\n`;
const LARGE_BYTES = 4_000_000;

let rig: Rig;
/** Bytes that the server could write of the answer that never ends. */
let written = 0;
let waiting: http.ServerResponse[] = [];

beforeAll(async () => {
  rig = await openRig((request, response) => {
    switch (request.url) {
      case '/endless':
        request.resume();
        response.writeHead(200, { 'Content-Type': 'text/event-stream' });
        writeForEver(response);
        break;
      case '/talkative':
        request.resume();
        response.writeHead(200, { 'Content-Type': 'text/event-stream' });
        for (let n = 0; n < NOTIFICATIONS; n++) response.write(`data: ${NOTE}\n\n`);
        response.end('data: {"jsonrpc":"2.0","id":1,"result":{}}\n\n');
        break;
      case '/wait':
        request.resume();
        request.once('end', () => waiting.push(response));
        break;
      default:
        answerCall(request, response);
    }
  });
  for (let id = 0; id < 500; id++) await rig.call({ jsonrpc: '2.0', id, method: 'ping' });
});
beforeEach(() => {
  waiting = [];
});
afterAll(() => rig.close());

function writeForEver(response: http.ServerResponse): void {
  const more = (): void => {
    while (!response.destroyed) {
      written += EVENT.length;
      if (!response.write(EVENT)) {
        response.once('drain', more);
        return;
      }
    }
  };
  more();
}

/** Calls one after another; gives how long the slowest tenth took at least. */
async function callsTook(count: number): Promise<number> {
  const took: number[] = [];
  for (let id = 0; id < count; id++) {
    const { status, tookMs } = await rig.call({ jsonrpc: '2.0', id, method: 'ping' });
    expect(status).toBe(200);
    took.push(tookMs);
  }
  return took.toSorted((a, b) => a - b)[Math.floor(count * 0.9)] as number;
}

it('lets a client that reads 1 kB/s slow its own server side only', async () => {
  await rig.untilQuiet();
  const before = rig.resident();
  rig.resetPeak();
  const client = net.connect(rig.recorder.port, '127.0.0.1');
  client.on('error', () => {});
  client.write('POST /endless HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n');
  let read = 0;
  client.pause();
  const reader = setInterval(() => {
    read += client.read(100)?.length ?? 0;
  }, 100);
  try {
    // The server can write until every buffer on the way is full, and then hardly any more.
    let last = -1;
    await eventually(
      () => {
        const stands = written === last;
        last = written;
        return stands && written > 0;
      },
      { withinMs: 15_000, everyMs: 400 },
    );
    expect(written).toBeLessThan(32e6);
    expect(await callsTook(200)).toBeLessThan(250);
    expect(written - last).toBeLessThan(1e6);
    expect(read).toBeGreaterThan(0);
    expect(rig.peak() - before).toBeLessThan(GROWTH_BYTES);
  } finally {
    clearInterval(reader);
    client.resetAndDestroy();
  }
});

it('passes 10,000 notifications of a server whose client has no GET stream open', async () => {
  const { status, text } = await rig.call({ jsonrpc: '2.0', id: 1, method: 'tools/call' }, '/talkative');
  expect(status).toBe(200);
  expect(text.split(NOTE)).toHaveLength(NOTIFICATIONS + 1);
  expect(text).toContain('"id":1,"result"');
});

it('passes 10,000 notifications of a client', async () => {
  const client = net.connect(rig.recorder.port, '127.0.0.1');
  let text = '';
  client.setEncoding('latin1').on('data', (piece: string) => {
    text += piece;
  });
  const request = `POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: ${NOTE.length}\r\n\r\n${NOTE}`;
  client.write(request.repeat(NOTIFICATIONS));
  await eventually(() => text.split('HTTP/1.1 202 ').length === NOTIFICATIONS + 1, {
    withinMs: 30_000,
    everyMs: 100,
  });
  client.destroy();
});

it('answers each of two calls with the same id in flight, whichever is answered first', async () => {
  const call = { jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'slow' } };
  const first = rig.call(call, '/wait');
  await eventually(() => waiting.length === 1, { withinMs: 5_000 });
  const second = rig.call(call, '/wait');
  await eventually(() => waiting.length === 2, { withinMs: 5_000 });
  const answer = (n: number): void => {
    waiting[n]?.end(JSON.stringify({ jsonrpc: '2.0', id: call.id, result: { n } }));
  };
  answer(1);
  expect((await second).text).toContain('{"n":1}');
  answer(0);
  expect((await first).text).toContain('{"n":0}');
});

it('keeps nothing of the bodies of calls that are never answered', async () => {
  const long = (of: string): string => of.repeat(LARGE_BYTES / 4);
  const call = (id: number): object => ({
    jsonrpc: '2.0',
    id: `${id}${long('i')}`,
    method: 'tools/call',
    params: { name: long('n'), requestState: long('s') },
  });
  // What node keeps of such bodies anyway, for a while, it keeps of those that are answered too.
  for (let id = 0; id < 50; id++) expect((await rig.call(call(id))).status).toBe(200);
  await rig.untilQuiet();
  const before = rig.resident();
  for (let id = 0; id < 100; id++) {
    const body = JSON.stringify(call(id));
    const client = net.connect(rig.recorder.port, '127.0.0.1');
    client.on('error', () => {});
    client.write(
      `POST /wait HTTP/1.1\r\nHost: h\r\nMcp-Session-Id: s\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await eventually(() => waiting.length === id + 1, { withinMs: 10_000 });
    client.resetAndDestroy();
  }
  await rig.untilQuiet();
  expect(rig.resident() - before).toBeLessThan(GROWTH_BYTES);
});
