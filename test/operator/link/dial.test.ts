/**
 * An attempt to pass a recorder by tells what the network said, and never more.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { dial } from '../../../operator/link/dial.ts';
import { freePort } from '../../support/child-process.ts';
import { openSilentPort } from '../../support/silent-port.ts';

it('says connected when a server takes the connection, and leaves it at once without a byte', async () => {
  const server = createServer();
  await new Promise<void>((bound) => server.listen(0, '127.0.0.1', bound));
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  expect(await dial('127.0.0.1', (server.address() as AddressInfo).port)).toBe('connected');
  const [socket] = await accepted;
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  await once(socket, 'close');
  expect(bytes).toBe(0);
  server.close();
});

it('says refused where nothing listens', async () => {
  expect(await dial('127.0.0.1', await freePort())).toBe('refused');
});

it('says timeout when the network is silent, after the time that it was given', async () => {
  const { port, close } = await openSilentPort();
  try {
    const startedMs = performance.now();
    expect(await dial('127.0.0.1', port, 300)).toBe('timeout');
    expect(performance.now() - startedMs).toBeLessThan(1_000);
  } finally {
    close();
  }
});

it('says that it was not tried when the attempt failed on this side', async () => {
  // No such name: nobody was asked.
  expect(await dial(`${'x'.repeat(64)}.invalid`, 80)).toBe('not-tried');
});
