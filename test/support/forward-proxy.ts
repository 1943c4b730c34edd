/**
 * Owns a forward proxy as companies have them: absolute-form requests for http, CONNECT tunnels for https.
 */
import http from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

export interface ForwardProxy {
  url: string;
  /** What was asked for: `GET http://host/path` or `CONNECT host:port`. */
  seen: string[];
  close(): Promise<void>;
}

/**
 * @param options.silent take connections and requests, and never answer
 * @param options.refuses answer everything with 407
 */
export async function startForwardProxy({ silent = false, refuses = false } = {}): Promise<ForwardProxy> {
  const seen: string[] = [];
  const sockets = new Set<Socket>();
  const server = http.createServer((inbound, outbound) => {
    seen.push(`${inbound.method} ${inbound.url}`);
    if (silent) return;
    if (refuses) {
      outbound.writeHead(407, { 'proxy-authenticate': 'Basic' });
      outbound.end();
      return;
    }
    const request = http.request(inbound.url ?? '', { method: inbound.method, headers: inbound.headers });
    request.on('response', (upstream) => {
      outbound.writeHead(upstream.statusCode ?? 0, upstream.rawHeaders);
      upstream.pipe(outbound);
    });
    request.on('error', () => inbound.socket.destroy());
    inbound.pipe(request);
  });
  server.on('connect', (inbound, client: Socket, head) => {
    seen.push(`CONNECT ${inbound.url}`);
    if (silent) return;
    if (refuses) {
      client.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    const { hostname, port } = new URL(`tcp://${inbound.url}`);
    const target = connect(Number(port), hostname, () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      target.write(head);
      target.pipe(client).pipe(target);
    });
    sockets.add(target);
    target.on('error', () => client.destroy());
    client.on('error', () => target.destroy());
  });
  server.on('connection', (socket) => sockets.add(socket));
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
}
