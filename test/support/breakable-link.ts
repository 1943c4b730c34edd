/**
 * Owns a connection between two parties that a test can break: in front of a port, bytes in, bytes out, until it is told otherwise.
 * Invariant: what is frozen carries nothing any more and ends nothing, as a network that lost its memory of a connection.
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface BreakableLink {
  port: number;
  /** Open connections, frozen ones included. */
  open(): number;
  /** The most that were open at once. */
  most(): number;
  /** Connections since the start. */
  made(): number;
  /** The connections of now fall silent, both ways; new ones work. */
  freeze(): void;
  /** The connections of now are reset; new ones work. */
  sever(): void;
  /** Accept no connections, until `restore`. */
  cut(): void;
  restore(): void;
  close(): Promise<void>;
}

/** In front of `port` of 127.0.0.1. */
export async function startBreakableLink(port: number): Promise<BreakableLink> {
  const pairs = new Set<{ sockets: [Socket, Socket]; frozen: boolean }>();
  let most = 0;
  let made = 0;
  let isCut = false;
  const server = createServer((inbound) => {
    if (isCut) {
      inbound.resetAndDestroy();
      return;
    }
    const outbound = connect({ port, host: '127.0.0.1' });
    const pair = { sockets: [inbound, outbound] as [Socket, Socket], frozen: false };
    pairs.add(pair);
    made += 1;
    most = Math.max(most, pairs.size);
    inbound.pipe(outbound);
    outbound.pipe(inbound);
    for (const socket of pair.sockets) {
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => {
        if (socket === inbound) pairs.delete(pair);
        if (!pair.frozen || socket === inbound) for (const either of pair.sockets) either.destroy();
      });
    }
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const sever = () => {
    for (const { sockets } of pairs) for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    open: () => pairs.size,
    most: () => most,
    made: () => made,
    freeze() {
      for (const pair of pairs) {
        pair.frozen = true;
        for (const socket of pair.sockets) {
          socket.unpipe();
          socket.pause();
        }
      }
    },
    sever,
    cut() {
      isCut = true;
      sever();
    },
    restore() {
      isCut = false;
    },
    async close() {
      sever();
      await new Promise((closed) => server.close(closed));
    },
  };
}
