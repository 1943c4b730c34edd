/**
 * Owns both ends of a byte-for-byte test: a TCP client and a scripted TCP server that send exactly the bytes they
 * are told to and keep exactly the bytes they were sent, with the time of each arrival and how the other side ended.
 * Invariant: nothing here speaks HTTP by itself; what a test did not send was not sent.
 *
 * Times are `performance.now()` milliseconds of this process.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { type HttpMessage, parseHttpMessage } from './http-message.ts';

/** Bytes to send; a string stands for its latin1 bytes. */
export type Bytes = string | Uint8Array;

export interface Ended {
  /** `fin`: the other side finished sending; `rst`: it (or the network) cut the connection. */
  how: 'fin' | 'rst';
  atMs: number;
}

export interface RawConnection {
  /** Everything received so far. */
  received(): Buffer;
  /** The pieces in which it arrived. */
  arrivals: { atMs: number; bytes: Buffer }[];
  /** How the other side ended, when it did. A FIN stays; an RST after it replaces it. */
  ended(): Ended | null;
  /** Hands the bytes to the kernel, whole. */
  send(bytes: Bytes): Promise<void>;
  /** Sends pieces of `pieceBytes`, each in a write of its own without Nagle's delay. */
  sendInPieces(bytes: Bytes, pieceBytes?: number): Promise<void>;
  /** Sends FIN; receiving goes on. */
  finish(): void;
  /** Sends RST. */
  reset(): void;
  /** Stops reading from the socket, so that the other side meets backpressure; `resume` goes on. */
  pause(): void;
  resume(): void;
  /** Waits until the received bytes contain `what` (or are so many, for a number), and gives all of them. */
  until(what: Bytes | number, withinMs?: number): Promise<Buffer>;
  /**
   * Takes the next whole HTTP/1.1 message from the received bytes.
   * @param headOnly gives the message as soon as its head is complete, and takes only that.
   */
  message(options?: { headOnly?: boolean; withinMs?: number }): Promise<HttpMessage>;
  /** Waits until the other side ended. */
  end(withinMs?: number): Promise<Ended>;
}

export interface RawServer {
  port: number;
  /** `http://127.0.0.1:<port>`. */
  origin: string;
  /** Every connection that was ever accepted. */
  connections: RawConnection[];
  /** The next connection in order of arrival that this method has not given yet. */
  accept(withinMs?: number): Promise<RawConnection>;
  /** Ends every connection with RST and stops listening. */
  close(): Promise<void>;
}

const PATIENCE_MS = 5_000;

/** Opens a connection to 127.0.0.1. */
export async function connectRaw(port: number): Promise<RawConnection> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  await once(socket, 'connect');
  return wrap(socket);
}

/**
 * Listens on a free port of 127.0.0.1.
 * @param script runs for every connection; without it the test drives the connections that `accept` gives.
 */
export async function listenRaw(
  script?: (connection: RawConnection) => Promise<unknown>,
): Promise<RawServer> {
  const connections: RawConnection[] = [];
  let given = 0;
  const waiters = new Set<() => void>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const connection = wrap(socket);
    connections.push(connection);
    // A script ends with its connection: the client's going is no failure of the script.
    script?.(connection).catch(() => socket.resetAndDestroy());
    for (const wake of waiters) {
      wake();
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    connections,
    async accept(withinMs = PATIENCE_MS) {
      const place = given;
      given += 1;
      return waitFor(
        waiters,
        () => connections[place] ?? null,
        withinMs,
        () => 'no connection arrived',
      );
    },
    async close() {
      for (const connection of connections) {
        connection.reset();
      }
      await new Promise((closed) => server.close(closed));
    },
  };
}

function wrap(socket: Socket): RawConnection {
  const arrivals: { atMs: number; bytes: Buffer }[] = [];
  const waiters = new Set<() => void>();
  let ended: Ended | null = null;
  let taken = 0;
  const wake = () => {
    for (const waiter of waiters) {
      waiter();
    }
  };
  const note = (how: Ended['how']) => {
    ended = { how, atMs: performance.now() };
    wake();
  };
  socket.setNoDelay(true);
  socket.on('data', (bytes: Buffer) => {
    arrivals.push({ atMs: performance.now(), bytes });
    wake();
  });
  socket.on('end', () => note('fin'));
  socket.on('error', () => note('rst'));

  const received = () => Buffer.concat(arrivals.map(({ bytes }) => bytes));
  const wait = <T>(look: () => T | null, withinMs: number, missing: string) =>
    waitFor(waiters, look, withinMs, () => {
      const how = ended === null ? 'the connection is open' : `the connection ended (${ended.how})`;
      return `${missing}; ${how} and brought:\n${received().toString('latin1')}`;
    });
  const send = (bytes: Bytes) =>
    new Promise<void>((sent, failed) => {
      socket.write(asBuffer(bytes), (error) => (error ? failed(error) : sent()));
    });

  return {
    received,
    arrivals,
    ended: () => ended,
    send,
    async sendInPieces(bytes, pieceBytes = 1) {
      const all = asBuffer(bytes);
      for (let at = 0; at < all.length; at += pieceBytes) {
        await send(all.subarray(at, at + pieceBytes));
        await turn();
      }
    },
    finish: () => void socket.end(),
    reset: () => void socket.resetAndDestroy(),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    until(what, withinMs = PATIENCE_MS) {
      const arrived = () => {
        const all = received();
        return (typeof what === 'number' ? all.length >= what : all.includes(asBuffer(what))) ? all : null;
      };
      return wait(arrived, withinMs, `did not receive ${typeof what === 'number' ? `${what} bytes` : what}`);
    },
    async message({ headOnly = false, withinMs = PATIENCE_MS } = {}) {
      const next = () => parseHttpMessage(received().subarray(taken), { headOnly, ended: ended !== null });
      const message = await wait(next, withinMs, 'did not receive a whole HTTP message');
      taken += message.bytes.length;
      return message;
    },
    end: (withinMs = PATIENCE_MS) => wait(() => ended, withinMs, 'the other side did not end'),
  };
}

function waitFor<T>(
  waiters: Set<() => void>,
  look: () => T | null,
  withinMs: number,
  missing: () => string,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(deadline);
      waiters.delete(check);
    };
    const check = () => {
      const found = look();
      if (found !== null) {
        done();
        resolve(found);
      }
    };
    const deadline = setTimeout(() => {
      done();
      reject(new Error(`within ${withinMs} ms: ${missing()}`));
    }, withinMs);
    waiters.add(check);
    check();
  });
}

function asBuffer(bytes: Bytes): Buffer {
  return typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Buffer.from(bytes);
}
