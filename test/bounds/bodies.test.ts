/**
 * Bodies of 1 GiB: up, they are refused at the limit; down, they pass. Neither costs memory in proportion.
 */
import net from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { answerCall, openRig, type Rig } from './rig.ts';

const GIB = 2 ** 30;
const GROWTH_BYTES = 100e6;
/** What goes on the wire: text like a tool's, repetitive, so that the store stays small. */
const PIECE = Buffer.from('{"line":"all work and no play makes a long log"},\n'.repeat(1_311)).subarray(
  0,
  65_536,
);

let rig: Rig;
beforeAll(async () => {
  rig = await openRig((request, response) => {
    if (request.url !== '/download') {
      answerCall(request, response);
      return;
    }
    request.resume();
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': GIB });
    let left = GIB / PIECE.length;
    const more = (): void => {
      while (left > 0) {
        left--;
        if (!response.write(PIECE)) {
          response.once('drain', more);
          return;
        }
      }
      response.end();
    };
    more();
  });
  for (let id = 0; id < 200; id++) await rig.call({ jsonrpc: '2.0', id, method: 'ping' });
});
afterAll(() => rig.close());

/** Sends up to 1 GiB as fast as it is taken, until the recorder closes; gives what came back and how much was sent. */
async function upload(
  framing: string,
  frame: (piece: Buffer) => Buffer,
): Promise<{ answer: string; sent: number }> {
  const socket = net.connect(rig.recorder.port, '127.0.0.1');
  const closed = new Promise((close) => socket.once('close', close));
  let answer = '';
  socket.on('data', (bytes: Buffer) => {
    answer += bytes.toString('latin1');
  });
  socket.on('error', () => {});
  socket.write(`POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n${framing}\r\n\r\n`);
  const framed = frame(PIECE);
  let sent = 0;
  const more = (): void => {
    while (sent < GIB && !socket.destroyed) {
      sent += PIECE.length;
      if (!socket.write(framed)) {
        socket.once('drain', more);
        return;
      }
    }
  };
  more();
  await closed;
  return { answer, sent };
}

const UPLOADS: [string, string, (piece: Buffer) => Buffer][] = [
  ['that says how long it is', `Content-Length: ${GIB}`, (piece) => piece],
  [
    'that comes in chunks',
    'Transfer-Encoding: chunked',
    (piece) => Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]),
  ],
];

it.each(UPLOADS)('refuses 1 GiB %s at the limit, with 413, in bounded memory', async (_, framing, frame) => {
  await rig.untilQuiet();
  const before = rig.resident();
  rig.resetPeak();
  const { answer, sent } = await upload(framing, frame);
  expect(answer).toMatch(/^HTTP\/1\.1 413 /);
  expect(answer).toContain('"reason":"body_too_large"');
  expect(sent).toBeLessThan(GIB);

  expect(rig.peak() - before).toBeLessThan(GROWTH_BYTES);
  expect((await rig.call({ jsonrpc: '2.0', id: 1, method: 'ping' })).status).toBe(200);
});

it('passes 1 GiB of answer in bounded memory, with the gate open', async () => {
  await rig.untilQuiet();
  const before = rig.resident();
  rig.resetPeak();
  const call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"log"}}';
  const socket = net.connect(rig.recorder.port, '127.0.0.1');
  socket.write(
    `POST /download HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: ${call.length}\r\n\r\n${call}`,
  );
  let head = '';
  let received = 0;
  for await (const piece of socket as AsyncIterable<Buffer>) {
    if (head === '') head = piece.toString('latin1', 0, piece.indexOf('\r\n\r\n') + 4);
    received += piece.length;
  }
  expect(head).toMatch(/^HTTP\/1\.1 200 /);
  expect(received - head.length).toBe(GIB);
  const growth = rig.peak() - before;

  expect(growth).toBeLessThan(GROWTH_BYTES);
  expect((await rig.call({ jsonrpc: '2.0', id: 1, method: 'ping' })).status).toBe(200);
  expect(rig.recorder.process.output()).not.toContain('gate is closed');
});

it('refuses uploads that together pass the memory for bodies with 503, and serves on', async () => {
  await rig.untilQuiet();
  rig.resetPeak();
  const before = rig.resident();
  const body = Buffer.alloc(4 * 2 ** 20, ' ');
  const answers: string[] = [];
  const sockets = Array.from({ length: 100 }, () => {
    const socket = net.connect(rig.recorder.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.once('data', (bytes: Buffer) => answers.push(bytes.toString('latin1')));
    socket.write(`POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\n\r\n`);
    // All but the last byte: the recorder has to keep what it has.
    socket.write(body.subarray(1));
    return socket;
  });
  await expect.poll(() => answers.length, { timeout: 15_000 }).toBeGreaterThanOrEqual(36);
  for (const answer of answers) {
    expect(answer).toMatch(/^HTTP\/1\.1 503 /);
    expect(answer).toContain('"reason":"memory"');
  }
  for (const socket of sockets) socket.resetAndDestroy();
  await expect
    .poll(async () => (await rig.call({ jsonrpc: '2.0', id: 1, method: 'ping' })).status, { timeout: 10_000 })
    .toBe(200);
  // The budget is 256 MiB of bodies; what is above it is what node needs to read them.
  expect(rig.peak() - before).toBeLessThan(256 * 2 ** 20 + 2 * GROWTH_BYTES);
});
