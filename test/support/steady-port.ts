/**
 * Owns ports for servers that stop listening and come back: while nobody listens, no connection of this machine is given the port as its own.
 */
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** Below what systems hand out for connections (from 32768). */
const FROM = 20_000;
const TO = 30_000;

/** A port of 127.0.0.1 that is free now, and that only somebody who asks for it by number can take. */
export async function steadyPort(): Promise<number> {
  for (;;) {
    const port = randomInt(FROM, TO);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    await new Promise((closed) => server.close(closed));
    if (free) return port;
  }
}
