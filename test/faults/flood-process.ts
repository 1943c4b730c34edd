/**
 * Owns a process that sends malformed requests as fast as it can, for a bounded time: `node flood-process.ts <port> <milliseconds>`.
 * Of four kinds, each on connections of its own: no HTTP at all, no JSON, a header that contradicts the body, a method that is not carried.
 * It prints how many requests of each kind it has sent whole, and ends.
 */
import { connect, type Socket } from 'node:net';

const [port, forMs] = process.argv.slice(2).map(Number) as [number, number];
/** Requests in one write. */
const PIPELINED = 16;
const CONNECTIONS = 4;

const post = (body: string, header = '') =>
  `POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n${header}Content-Length: ${body.length}\r\n\r\n${body}`;
const KINDS: Record<string, { bytes: string; pipelined: number }> = {
  // Ends its connection, so that there is one of them in each.
  malformed_http: { bytes: 'GARBAGE garbage\r\n\r\n', pipelined: 1 },
  malformed_json: { bytes: post('{"jsonrpc":"2.0",'), pipelined: PIPELINED },
  header_mismatch: {
    bytes: post('{"jsonrpc":"2.0","id":1,"method":"tools/list"}', 'Mcp-Method: tools/call\r\n'),
    pipelined: PIPELINED,
  },
  method_not_allowed: { bytes: 'TRACE / HTTP/1.1\r\nHost: h\r\n\r\n', pipelined: PIPELINED },
};

const sent: Record<string, number> = {};
const untilMs = performance.now() + forMs;
const isOver = () => performance.now() >= untilMs;

/** Sends a batch of one kind, waits until it is answered, and sends the next one; on a new connection when this one was closed. */
function flood(kind: string): Promise<void> {
  const { bytes, pipelined } = KINDS[kind] as { bytes: string; pipelined: number };
  return new Promise((resolve) => {
    const open = (): void => {
      if (isOver()) return resolve();
      const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true });
      let answers = 0;
      const send = () => {
        if (isOver()) return socket.end();
        answers = 0;
        socket.write(bytes.repeat(pipelined));
        sent[kind] = (sent[kind] ?? 0) + pipelined;
      };
      socket.on('connect', send);
      socket.on('data', (piece) => {
        answers += piece.toString('latin1').split('HTTP/1.1 ').length - 1;
        if (answers >= pipelined && pipelined > 1) send();
      });
      socket.on('error', () => undefined);
      socket.on('close', open);
    };
    open();
  });
}

const floods = Object.keys(KINDS).flatMap((kind) => Array.from({ length: CONNECTIONS }, () => flood(kind)));
await Promise.all(floods);
console.log(`sent ${JSON.stringify(sent)}`);
