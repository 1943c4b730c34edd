/**
 * Owns the back end of the bounds: a server on raw `node:net` that holds event streams open and sends large answers.
 * Invariant: it keeps nothing of what it sends, so that it can hold thousands of streams beside the process under test.
 * `GET /mcp`: an event stream with one event, then silence. `GET /streams`: how many of those are open.
 * `POST /download/N`: a JSON answer of exactly N bytes. Writes the port that it listens on.
 */
import net from 'node:net';

const CHUNK = Buffer.alloc(64 * 1024, 'a JSON string that goes on and on; ');
const DOWNLOAD_HEAD = '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"';
const DOWNLOAD_TAIL = '"}]}}';
const EVENT = 'id: 1\ndata: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n';

const streams = new Set<net.Socket>();

const server = net.createServer({ noDelay: true }, (socket) => {
  let received = '';
  socket.on('error', () => {});
  socket.once('close', () => streams.delete(socket));
  socket.on('data', (bytes: Buffer) => {
    received += bytes.toString('latin1');
    for (;;) {
      const end = received.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = received.slice(0, end);
      const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
      if (received.length < end + 4 + length) return;
      received = received.slice(end + 4 + length);
      answer(socket, head.split(' ')[1] ?? '/');
    }
  });
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address !== 'string') process.stdout.write(`${address.port}\n`);
});
process.once('SIGTERM', () => process.exit(0));

function answer(socket: net.Socket, path: string): void {
  const download = /^\/download\/(\d+)$/.exec(path);
  if (download !== null) {
    sendDownload(socket, Number(download[1]));
  } else if (path === '/streams') {
    const body = String(streams.size);
    socket.write(
      `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
  } else {
    streams.add(socket);
    socket.write(
      'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n',
    );
    socket.write(`${EVENT.length.toString(16)}\r\n${EVENT}\r\n`);
  }
}

function sendDownload(socket: net.Socket, bytes: number): void {
  let left = bytes - DOWNLOAD_HEAD.length - DOWNLOAD_TAIL.length;
  socket.write(
    `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${bytes}\r\n\r\n${DOWNLOAD_HEAD}`,
  );
  const send = () => {
    while (left > 0 && !socket.destroyed) {
      const size = Math.min(left, CHUNK.length);
      left -= size;
      if (!socket.write(CHUNK.subarray(0, size)) && left > 0) {
        socket.once('drain', send);
        return;
      }
    }
    socket.write(DOWNLOAD_TAIL);
  };
  send();
}
