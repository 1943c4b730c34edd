/**
 * Owns the most transparent proxy there is: bytes in, bytes out, both ends of a connection ended as the other was.
 * A harness that compares a server with the same server behind a proxy is proved by it: it must see no difference.
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface TcpForwarder {
  origin: string;
  port: number;
  /** Connections that were forwarded since the start. */
  connections(): number;
  close(): Promise<void>;
}

/** Forwards a free port of 127.0.0.1 to `port` of 127.0.0.1. */
export async function startTcpForwarder(port: number): Promise<TcpForwarder> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const join = (from: Socket, to: Socket) => {
    sockets.add(from);
    from.setNoDelay(true);
    from.pipe(to);
    from.on('error', () => to.resetAndDestroy());
    from.on('close', () => {
      sockets.delete(from);
      to.destroy();
    });
  };
  const server = createServer({ allowHalfOpen: true }, (inbound) => {
    connections += 1;
    const outbound = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    join(inbound, outbound);
    join(outbound, inbound);
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const bound = (server.address() as AddressInfo).port;
  return {
    origin: `http://127.0.0.1:${bound}`,
    port: bound,
    connections: () => connections,
    async close() {
      for (const socket of sockets) {
        socket.destroy();
      }
      await new Promise((closed) => server.close(closed));
    },
  };
}
