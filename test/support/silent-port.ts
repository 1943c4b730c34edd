/**
 * Owns a port that takes no connection and refuses none: that of a stopped process whose accept queue is full. The kernel drops further SYNs,
 * as a network policy drops them.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const LISTEN = `require('net').createServer().listen({port: 0, host: '127.0.0.1', backlog: 1}, function () { console.log(this.address().port) })`;
/** More than the queue holds. */
const FILLERS = 8;

/** @returns a port of 127.0.0.1, and how to let go of it */
export async function openSilentPort(): Promise<{ port: number; close(): void }> {
  const child = spawn(process.execPath, ['-e', LISTEN], { stdio: ['ignore', 'pipe', 'inherit'] });
  const fillers: Socket[] = [];
  const close = () => {
    for (const filler of fillers) filler.destroy();
    child.kill('SIGKILL');
  };
  try {
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const port = Number(line.toString());
    child.kill('SIGSTOP');
    for (let n = 0; n < FILLERS; n += 1) fillers.push(connect(port, '127.0.0.1').on('error', () => {}));
    await once(fillers[0] as Socket, 'connect');
    return { port, close };
  } catch (error) {
    close();
    throw error;
  }
}
