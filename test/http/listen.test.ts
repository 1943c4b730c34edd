/** Where a server of ours listens. */
import { once } from 'node:events';
import net from 'node:net';
import { expect, it } from 'vitest';
import { listenOn } from '../../sidecar/listen.ts';

async function close(server: net.Server): Promise<void> {
  server.close();
  await once(server, 'close');
}

it('a server tells the port that it was given', async () => {
  const server = net.createServer();
  const { host, port } = await listenOn(server, { host: '127.0.0.1', port: 0 });
  expect([host, port]).toEqual(['127.0.0.1', (server.address() as net.AddressInfo).port]);
  await close(server);
});

it('all addresses are those of IPv4 on a machine without IPv6', async () => {
  const server = net.createServer();
  const listen = server.listen.bind(server);
  // As the system says it there.
  server.listen = ((port: number, host: string, listening: () => void) => {
    if (host !== '::') return listen(port, host, listening);
    const error = Object.assign(new Error('listen EAFNOSUPPORT'), { code: 'EAFNOSUPPORT' });
    setImmediate(() => server.emit('error', error));
    return server;
  }) as typeof listen;
  expect(await listenOn(server, { host: '::', port: 0 })).toMatchObject({ host: '0.0.0.0' });
  await close(server);
});

it('an address that is taken, or that the machine has not, is an error', async () => {
  const server = net.createServer();
  const { port } = await listenOn(server, { host: '127.0.0.1', port: 0 });
  await expect(listenOn(net.createServer(), { host: '127.0.0.1', port })).rejects.toMatchObject({
    code: 'EADDRINUSE',
  });
  await expect(listenOn(net.createServer(), { host: '192.0.2.1', port: 0 })).rejects.toMatchObject({
    code: 'EADDRNOTAVAIL',
  });
  await close(server);
});
