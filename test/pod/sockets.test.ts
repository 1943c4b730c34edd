/** What the kernel says of a port, asked with real sockets. */
import { once } from 'node:events';
import net from 'node:net';
import os from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/poll.ts';
import { describeSockets, readServerSockets } from '../../sidecar/sockets.ts';

const opened: { close(): unknown }[] = [];
afterEach(() => {
  for (const each of opened.splice(0).toReversed()) each.close();
});

async function listen(host: string): Promise<number> {
  const server = net.createServer((socket) => {
    opened.push({ close: () => socket.destroy() });
  });
  opened.push(server);
  server.listen(0, host);
  await once(server, 'listening');
  return (server.address() as net.AddressInfo).port;
}

async function connect(port: number, host: string, localAddress?: string): Promise<net.Socket> {
  const socket = net.connect({ port, host, ...(localAddress === undefined ? {} : { localAddress }) });
  opened.push({ close: () => socket.destroy() });
  await once(socket, 'connect');
  return socket;
}

const ownAddress = Object.values(os.networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ internal, family }) => !internal && family === 'IPv4')?.address;

describe('the sockets of the server', () => {
  it.each([
    ['0.0.0.0', 'any'],
    ['::', 'any'],
    ['127.0.0.1', 'loopback'],
    ['::1', 'loopback'],
    ['127.9.9.9', 'loopback'],
  ])('listening on %s are told as %s', async (host, listens) => {
    const port = await listen(host);
    expect(await readServerSockets(port)).toEqual({ listens, foreignConnections: [] });
  });

  it('are none on a port where nobody listens', async () => {
    const port = await listen('127.0.0.1');
    for (const server of opened.splice(0)) server.close();
    expect(await readServerSockets(port)).toEqual({ listens: 'none', foreignConnections: [] });
  });

  it.each(['127.0.0.1', '::1', '::ffff:127.0.0.1'])(
    'have no foreign peer in a connection to %s',
    async (host) => {
      const port = await listen('::');
      await connect(port, host);
      expect((await readServerSockets(port)).foreignConnections).toEqual([]);
    },
  );

  it.skipIf(ownAddress === undefined)(
    'have none in a connection from this host to its own address',
    async () => {
      const port = await listen('::');
      await connect(port, ownAddress as string);
      expect((await readServerSockets(port)).foreignConnections).toEqual([]);
    },
  );

  it.skipIf(ownAddress === undefined)(
    'have one in a connection from another address, as long as it stands',
    async () => {
      const port = await listen('::');
      const client = await connect(port, '127.0.0.1', ownAddress);
      const { port: from } = client.address() as net.AddressInfo;
      expect((await readServerSockets(port)).foreignConnections).toEqual([`${ownAddress}:${from}`]);
      client.destroy();
      await eventually(async () => expect((await readServerSockets(port)).foreignConnections).toEqual([]), {
        withinMs: 5_000,
      });
    },
  );
});

describe('rows of the tables of the kernel', () => {
  const row = (local: string, peer: string, state: string) =>
    `   3: ${local} ${peer} ${state} 00000000:00000000 00:00000000 00000000     0        0 12345 1 0000000000000000 100 0 0 10 0`;
  const HEADING =
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';

  it('name foreign peers, IPv4 within IPv6 as IPv4, each once', () => {
    const rows = [
      HEADING,
      row('00000000:1F90', '00000000:0000', '0A'),
      // 10.1.2.4:8080 <- 10.1.2.3:41234, and the same within IPv6.
      row('0402010A:1F90', '0302010A:A112', '01'),
      row('0000000000000000FFFF00000402010A:1F90', '0000000000000000FFFF00000302010A:A112', '01'),
      // fd00::4 <- fd00::7
      row('000000FD000000000000000004000000:1F90', '000000FD000000000000000007000000:C350', '01'),
    ].join('\n');
    expect(describeSockets(rows, 8080, true)).toEqual({
      listens: 'any',
      foreignConnections: ['10.1.2.3:41234', '[fd00::7]:50000'],
    });
  });

  it('name a peer that has ended its half of the connection and is still sent to', () => {
    const rows = row('0402010A:1F90', '0302010A:A112', '08');
    expect(describeSockets(rows, 8080, true).foreignConnections).toEqual(['10.1.2.3:41234']);
  });

  it('of other ports, other states and own ends of connections do not count', () => {
    const rows = [
      row('0402010A:1F91', '0302010A:A112', '01'),
      row('0402010A:1F90', '0302010A:A112', '06'),
      row('0402010A:A112', '0302010A:1F90', '01'),
      row('0100007F:1F90', '0500007F:A112', '01'),
      row('0402010A:1F90', '0402010A:A112', '01'),
      '',
    ].join('\n');
    expect(describeSockets(rows, 8080, true)).toEqual({ listens: 'none', foreignConnections: [] });
  });

  it('are read on machines of the other byte order', () => {
    const rows = [row('0A010204:1F90', '0A010203:A112', '01'), row('7F000001:1F90', '00000000:0000', '0A')];
    expect(describeSockets(rows.join('\n'), 8080, false)).toEqual({
      listens: 'loopback',
      foreignConnections: ['10.1.2.3:41234'],
    });
  });

  it('list no more than a hundred peers', () => {
    const rows = Array.from({ length: 300 }, (_, i) =>
      row('0402010A:1F90', `0302010A:${(20_000 + i).toString(16).toUpperCase()}`, '01'),
    );
    expect(describeSockets(rows.join('\n'), 8080, true).foreignConnections).toHaveLength(100);
  });
});
