/**
 * Owns the clients of the bounds that hold event streams: a process of its own, so that its memory and its descriptors are not
 * those of anything measured. Started with a port and a number of streams; writes `open` when each has had its first event.
 * Invariant: ending this process is how a thousand clients vanish at once.
 */
import net from 'node:net';

/** How many connect at the same time; a listening socket's queue is bounded. */
const AT_ONCE = 64;

const [, , port, count] = process.argv;
let next = 0;
let ready = 0;

function open(): void {
  if (next === Number(count)) return;
  next += 1;
  const socket = net.connect(Number(port), '127.0.0.1');
  let text = '';
  const onData = (bytes: Buffer) => {
    text += bytes.toString('latin1');
    if (!text.includes('list_changed')) return;
    socket.off('data', onData);
    socket.resume();
    ready += 1;
    if (ready === Number(count)) process.stdout.write('open\n');
    open();
  };
  socket.on('data', onData);
  socket.on('close', () => fail(`a stream was closed after ${ready} were open: ${text}`));
  socket.on('error', (error) => fail(`stream ${ready + 1}: ${error.message}`));
  socket.write(
    `GET /mcp HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAccept: text/event-stream\r\nMcp-Protocol-Version: 2025-11-25\r\nMcp-Session-Id: stream-${next}\r\n\r\n`,
  );
}

function fail(message: string): void {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

for (let index = 0; index < AT_ONCE; index += 1) open();
