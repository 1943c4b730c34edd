/**
 * Owns a TCP proxy on loopback that is transparent until it is told to fail, in a way that can be changed at any time. It stands between
 * the recorder and its store, or the recorder and the MCP server.
 * Invariants: a fault is in force for new and for existing connections when `set` resolves; how often it struck is counted, so that a test
 * that met no fault can be told from one that withstood it.
 */
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { steadyPort } from '../support/steady-port.ts';
import { carry, type Link, type Way } from './carry.ts';
import { errorXml, type LinkFault } from './link-fault.ts';

export interface FaultProxy {
  /** `http://127.0.0.1:<port>`, the same for the proxy's whole life. */
  origin: string;
  port: number;
  set(fault: LinkFault): Promise<void>;
  /** As `set` of no fault. */
  heal(): Promise<void>;
  /** Pieces, connections or requests that the fault in force has touched. */
  readonly strikes: number;
  /** Connections accepted since the start. */
  readonly connections: number;
  close(): Promise<void>;
}

/** Connections that a switch to one of these does not leave as they are. */
const RESETS = new Set(['refuse', 'answer']);

/** Starts a proxy in front of `port` of 127.0.0.1. */
export async function startFaultProxy(port: number): Promise<FaultProxy> {
  const sockets = new Set<Socket>();
  let fault: LinkFault = { kind: 'none' };
  let switched = Promise.withResolvers<void>();
  let strikes = 0;
  let connections = 0;
  /** When the throttled link is free again, `performance.now()`, by direction. */
  const free: Record<Way, number> = { request: 0, answer: 0 };

  const link: Link = {
    get fault() {
      return fault;
    },
    changed: () => switched.promise,
    struck() {
      strikes += 1;
    },
    async take(way, bytes, bytesPerSecond) {
      const now = performance.now();
      free[way] = Math.max(now, free[way]) + (bytes / bytesPerSecond) * 1000;
      await pause(free[way] - now);
    },
  };

  const answering = createHttpServer((req, res) => {
    req.resume();
    req.on('error', () => undefined);
    req.once('end', () => {
      if (fault.kind !== 'answer') return res.destroy();
      strikes += 1;
      const body = errorXml(fault.answer, req.url ?? '/', `FAULT${strikes}`);
      res.writeHead(fault.answer.status, {
        'content-type': 'application/xml',
        'content-length': Buffer.byteLength(body),
        'x-amz-request-id': `FAULT${strikes}`,
      });
      res.end(body);
    });
  });

  function keep(socket: Socket): void {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
  }

  function join(inbound: Socket): void {
    const outbound = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    keep(outbound);
    const cut = () => {
      inbound.resetAndDestroy();
      outbound.resetAndDestroy();
    };
    inbound.once('close', () => outbound.destroy());
    outbound.once('close', () => inbound.destroy());
    outbound.once('error', () => inbound.resetAndDestroy());
    // A side that is reset ends the other; nobody waits for these.
    carry(inbound, outbound, 'request', link, cut).catch(cut);
    carry(outbound, inbound, 'answer', link, cut).catch(cut);
  }

  const server = createServer({ allowHalfOpen: true }, (inbound) => {
    connections += 1;
    keep(inbound);
    if (fault.kind === 'answer') answering.emit('connection', inbound);
    else join(inbound);
  });

  async function listen(at: number): Promise<void> {
    await new Promise<void>((bound, failed) => {
      server.once('error', failed);
      server.listen(at, '127.0.0.1', () => {
        server.off('error', failed);
        bound();
      });
    });
  }

  function resetAll(): void {
    for (const socket of sockets) socket.resetAndDestroy();
  }

  async function set(next: LinkFault): Promise<void> {
    const before = fault;
    if (next.kind === 'refuse' && before.kind !== 'refuse') {
      const closed = new Promise((done) => server.close(done));
      fault = next;
      resetAll();
      await closed;
      // No fault is more certain to strike: whoever connects is refused by the system.
      strikes = 1;
    } else {
      fault = next;
      strikes = 0;
      if (RESETS.has(next.kind) || RESETS.has(before.kind) || before.kind === 'swallow') resetAll();
      if (before.kind === 'refuse' && next.kind !== 'refuse') await listen(bound);
    }
    switched.resolve();
    switched = Promise.withResolvers<void>();
  }

  const bound = await steadyPort();
  await listen(bound);
  return {
    origin: `http://127.0.0.1:${bound}`,
    port: bound,
    set,
    heal: () => set({ kind: 'none' }),
    get strikes() {
      return strikes;
    },
    get connections() {
      return connections;
    },
    async close() {
      const closed = server.listening ? new Promise((done) => server.close(done)) : null;
      resetAll();
      switched.resolve();
      await closed;
    },
  };
}
