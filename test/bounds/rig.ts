/**
 * Owns the scene of the bounds: the recorder in a process of its own, whose memory the kernel tells, between a server and
 * clients that live in the test's process.
 * Invariant: a figure is what `/proc` says of the recorder, and nothing is collected by force before it is taken.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { eventually } from '../support/poll.ts';
import { type RecorderProcess, startRecorderProcess } from '../support/recorder-process.ts';

export interface BackEnd {
  origin: string;
  /** TCP connections that are open now. */
  readonly connections: number;
  close(): Promise<void>;
}

export interface Rig {
  recorder: RecorderProcess;
  backEnd: BackEnd;
  /** Resident memory of the recorder now, and its peak since `resetPeak` (bytes). */
  resident(): number;
  peak(): number;
  resetPeak(): void;
  /** Waits until the recorder hardly works any more. */
  untilQuiet(): Promise<void>;
  /** One call through the recorder: its answer's status and body, and how long it took. */
  call(message: object, target?: string): Promise<{ status: number; text: string; tookMs: number }>;
  close(): Promise<void>;
}

/** Answers every request by `handle`. */
async function listen(handle: http.RequestListener): Promise<BackEnd> {
  const open = new Set<net.Socket>();
  const server = http.createServer({ keepAliveTimeout: 60_000 }, handle);
  server.on('connection', (socket: net.Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    socket.on('error', () => {});
  });
  await new Promise<void>((bound) => server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, bound));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get connections() {
      return open.size;
    },
    async close() {
      const closed = new Promise((done) => server.close(done));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

export async function openRig(handle: http.RequestListener): Promise<Rig> {
  const directory = await mkdtemp(path.join(tmpdir(), 'mcp-recorder-bounds-'));
  const backEnd = await listen(handle);
  const recorder = await startRecorderProcess({ upstream: backEnd.origin, directory });
  const { pid } = recorder.process;
  const agent = new http.Agent({ keepAlive: true });

  function memory(field: 'VmRSS' | 'VmHWM'): number {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1]) * 1_024;
  }
  /** Processor time so far, clock ticks of 10 ms: utime and stime of proc_pid_stat(5). */
  function ticks(): number {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(fields[11]) + Number(fields[12]);
  }

  return {
    recorder,
    backEnd,
    resident: () => memory('VmRSS'),
    peak: () => memory('VmHWM'),
    // 5 sets the peak to what is resident now (proc(5)).
    resetPeak: () => writeFileSync(`/proc/${pid}/clear_refs`, '5'),
    async untilQuiet() {
      let last = ticks();
      await eventually(
        () => {
          const now = ticks();
          const worked = now - last;
          last = now;
          return worked <= 3;
        },
        { withinMs: 30_000, everyMs: 500 },
      );
    },
    call: (message, target = '/mcp') => send(recorder.port, agent, target, JSON.stringify(message)),
    async close() {
      agent.destroy();
      await backEnd.close();
      const exit = await recorder.stop();
      await rm(directory, { recursive: true, force: true });
      if (exit.code !== 0)
        throw new Error(`the recorder ended with ${exit.signal ?? exit.code}:\n${recorder.process.output()}`);
    },
  };
}

function send(
  port: number,
  agent: http.Agent,
  target: string,
  body: string,
): Promise<{ status: number; text: string; tookMs: number }> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };
    const request = http.request({ port, agent, method: 'POST', path: target, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      response.once('error', reject);
      response.once('end', () =>
        resolve({ status: response.statusCode as number, text, tookMs: performance.now() - began }),
      );
    });
    request.once('error', reject);
    request.setTimeout(20_000, () => request.destroy(new Error(`no answer to ${target} within 20 s`)));
    request.end(body);
  });
}

/** Answers like a server that has one tool, which says nothing. */
export function answerCall(request: http.IncomingMessage, response: http.ServerResponse): void {
  let body = '';
  request.setEncoding('latin1').on('data', (piece: string) => {
    body += piece;
  });
  request.once('end', () => {
    const { id } = JSON.parse(body) as { id?: number };
    if (id === undefined) {
      response.writeHead(202).end();
      return;
    }
    const text = JSON.stringify({ jsonrpc: '2.0', id, result: {} });
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': text.length }).end(text);
  });
}

/** Opens an event stream by GET; resolves when its first event has come. */
export async function openStream(port: number, session: string): Promise<net.Socket> {
  const socket = net.connect(port, '127.0.0.1');
  await new Promise<void>((open, failed) => {
    let text = '';
    const onData = (bytes: Buffer): void => {
      text += bytes.toString('latin1');
      if (!text.includes(FIRST_EVENT)) return;
      socket.off('data', onData);
      socket.off('error', failed);
      socket.on('error', () => {});
      socket.resume();
      open();
    };
    socket.on('data', onData);
    socket.once('error', failed);
    socket.once('close', () => failed(new Error(`a stream was closed; it brought: ${text}`)));
    socket.write(
      `GET /stream HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\nMcp-Session-Id: ${session}\r\n\r\n`,
    );
  });
  return socket;
}

const FIRST_EVENT = 'data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n';

/** Opens the server's side of such a stream. */
export function serveStream(response: http.ServerResponse): void {
  response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  response.write(FIRST_EVENT);
}

/** Opens `count` streams, some at a time. */
export async function openStreams(port: number, count: number): Promise<net.Socket[]> {
  const streams: net.Socket[] = [];
  let next = 0;
  const opener = async (): Promise<void> => {
    while (next < count) streams.push(await openStream(port, `session-${next++}`));
  };
  await Promise.all(Array.from({ length: 64 }, opener));
  return streams;
}
