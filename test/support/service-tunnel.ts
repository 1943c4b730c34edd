/**
 * Owns the way from an API server to the webhook's Service where there is no network of Services: the API server's own egress, by HTTP CONNECT
 * over a Unix socket. It dials the Service's address as in a cluster, and names and certificates are verified as there.
 * Invariant: a call goes to the first backend that takes the connection; with none it is refused, as a Service without endpoints refuses.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Duplex } from 'node:stream';

export interface ServiceTunnel {
  /** For the API server's command line. */
  apiServerArgs: string[];
  /** Ports of 127.0.0.1 that stand for the endpoints of every Service. */
  backends: Set<number>;
  close(): Promise<void>;
}

export async function openServiceTunnel(): Promise<ServiceTunnel> {
  const folder = await mkdtemp(path.join(tmpdir(), 'tunnel-'));
  const socket = path.join(folder, 'egress.sock');
  const configuration = path.join(folder, 'egress.yaml');
  const transport = { uds: { udsName: socket } };
  await writeFile(
    configuration,
    JSON.stringify({
      apiVersion: 'apiserver.k8s.io/v1beta1',
      kind: 'EgressSelectorConfiguration',
      egressSelections: [{ name: 'cluster', connection: { proxyProtocol: 'HTTPConnect', transport } }],
    }),
  );
  const backends = new Set<number>();
  const open = new Set<Duplex>();
  const server = createServer();
  server.on('connect', (_: IncomingMessage, client: Duplex) => {
    open.add(client);
    client.on('error', () => {});
    client.on('close', () => open.delete(client));
    void forward(client, backends);
  });
  await new Promise<void>((bound) => server.listen(socket, bound));
  return {
    apiServerArgs: [`--egress-selector-config-file=${configuration}`],
    backends,
    async close() {
      for (const client of open) client.destroy();
      await new Promise((closed) => server.close(closed));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function forward(client: Duplex, backends: ReadonlySet<number>): Promise<void> {
  const backend = await reach(backends);
  if (backend === null) {
    client.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
    return;
  }
  backend.on('error', () => client.destroy());
  backend.on('close', () => client.destroy());
  client.on('close', () => backend.destroy());
  client.write('HTTP/1.1 200 OK\r\n\r\n');
  client.pipe(backend).pipe(client);
}

async function reach(ports: ReadonlySet<number>): Promise<Socket | null> {
  for (const port of ports) {
    const socket = connect(port, '127.0.0.1');
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    if (isOpen) return socket;
  }
  return null;
}
