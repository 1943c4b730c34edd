/**
 * An attempt to pass a recorder by tells what the network said, and never more.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { dial } from '../../../operator/link/dial.ts';
import { freePort } from '../../support/child-process.ts';

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
  // A stopped process whose accept queue is full: the kernel drops further SYNs, as a policy drops them.
  const listen = `require('net').createServer().listen({port: 0, host: '127.0.0.1', backlog: 1}, function () { console.log(this.address().port) })`;
  const child = spawn(process.execPath, ['-e', listen], { stdio: ['ignore', 'pipe', 'inherit'] });
  const fillers: Socket[] = [];
  try {
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const port = Number(line.toString());
    child.kill('SIGSTOP');
    for (let n = 0; n < 8; n += 1) fillers.push(connect(port, '127.0.0.1').on('error', () => {}));
    await once(fillers[0] as Socket, 'connect');
    const startedMs = performance.now();
    expect(await dial('127.0.0.1', port, 300)).toBe('timeout');
    expect(performance.now() - startedMs).toBeLessThan(1_000);
  } finally {
    for (const filler of fillers) filler.destroy();
    child.kill('SIGKILL');
  }
});

it('says that it was not tried when the attempt failed on this side', async () => {
  // No such name: nobody was asked.
  expect(await dial(`${'x'.repeat(64)}.invalid`, 80)).toBe('not-tried');
});
