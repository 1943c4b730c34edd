/**
 * Owns the connections to the MCP server: one request at a time on each, kept alive between requests, never retried.
 * Invariant: every request ends in exactly one `onEnd` or `onError`, unless its caller aborted it; an abort closes the
 * connection at once, so that the server sees the client's disconnect.
 * Written by hand because a general client costs more than the rest of the recording (docs/adr/0002-upstream-client.md).
 */
import net from 'node:net';
import {
  createResponseParser,
  MalformedResponse,
  type ResponseEvents,
  type ResponseParser,
} from './response-parser.ts';

// An import would load more, and keep it (docs/adr/0006-memory-of-a-sidecar.md).
const tls = process.getBuiltinModule('node:tls');

export type UpstreamFailure =
  | 'upstream_unreachable'
  | 'upstream_timeout'
  | 'upstream_reset'
  | 'upstream_malformed';

export interface UpstreamHandler extends ResponseEvents {
  /** Nothing more comes. `sent` says whether bytes of the request may have reached the server. */
  onError(failure: UpstreamFailure, message: string): void;
}

export interface UpstreamRequest {
  method: string;
  /** Request target as it stood (RFC 9112 3.2). */
  target: string;
  /** End-to-end headers, flat names and values; no framing headers. */
  headers: readonly string[];
  /** Null when the client's request had no body at all. */
  body: Buffer | null;
}

export interface UpstreamCall {
  /** Closes the connection; the handler hears nothing more. */
  abort(): void;
  pause(): void;
  resume(): void;
}

export interface Upstream {
  send(request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall;
  /** Connections that carry a request now. */
  readonly active: number;
  /** Closes idle connections now and the others when their request is done. */
  close(): void;
}

export interface UpstreamOptions {
  origin: URL;
  connectTimeoutMs?: number;
  nowMs?: () => number;
}

/** How long an idle connection is kept when the server does not say (ms): below the 5 s after which Node's servers close. */
const IDLE_MS = 4_000;
/** Taken off the time that the server names, so that a request does not meet the server's close (ms). */
const IDLE_MARGIN_MS = 1_000;
const MAX_IDLE = 256;
/** Bodies up to this size go out in one write with the head (bytes). */
const JOINED_BODY_BYTES = 64 * 1024;

interface Connection {
  socket: net.Socket;
  parser: ResponseParser;
  call: ActiveCall | null;
  expiresMs: number;
}

interface ActiveCall {
  handler: UpstreamHandler;
}

/** Writes the request head (RFC 9112 2.1); Content-Length comes last, as the body is always whole. */
function requestHead(request: UpstreamRequest): string {
  let head = `${request.method} ${request.target} HTTP/1.1\r\n`;
  const { headers, body } = request;
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return body === null ? `${head}\r\n` : `${head}Content-Length: ${body.length}\r\n\r\n`;
}

function writeRequest(socket: net.Socket, request: UpstreamRequest): void {
  const head = requestHead(request);
  const { body } = request;
  if (body === null || body.length === 0) {
    socket.write(head, 'latin1');
  } else if (body.length <= JOINED_BODY_BYTES) {
    const bytes = Buffer.allocUnsafe(head.length + body.length);
    bytes.write(head, 0, 'latin1');
    body.copy(bytes, head.length);
    socket.write(bytes);
  } else {
    socket.cork();
    socket.write(head, 'latin1');
    socket.write(body);
    socket.uncork();
  }
}

/** The client of one MCP server. */
export function createUpstream(options: UpstreamOptions): Upstream {
  const { origin } = options;
  const connectTimeoutMs = options.connectTimeoutMs ?? 5_000;
  const nowMs = options.nowMs ?? Date.now;
  const secure = origin.protocol === 'https:';
  const host = origin.hostname.replace(/^\[|\]$/g, '');
  const port = Number(origin.port) || (secure ? 443 : 80);
  const where = `${host}:${port}`;
  const idle: Connection[] = [];
  let active = 0;
  let closing = false;

  const sweep = setInterval(() => {
    const now = nowMs();
    for (let i = idle.length - 1; i >= 0; i--) {
      const connection = idle[i] as Connection;
      if (connection.expiresMs <= now) connection.socket.destroy();
    }
  }, 1_000);
  sweep.unref();

  function connect(): Connection {
    const socket = secure
      ? tls.connect({ host, port, servername: net.isIP(host) ? '' : host, ALPNProtocols: ['http/1.1'] })
      : net.connect({ host, port });
    socket.setNoDelay(true);
    const parser = createResponseParser();
    const connection: Connection = { socket, parser, call: null, expiresMs: 0 };
    let connected = false;
    const timer = setTimeout(
      () => fail('upstream_timeout', `no connection to ${where} in ${connectTimeoutMs} ms`),
      connectTimeoutMs,
    );

    function fail(failure: UpstreamFailure, message: string): void {
      const call = connection.call;
      connection.call = null;
      if (call !== null) active--;
      socket.destroy();
      call?.handler.onError(failure, message);
    }

    function release(): void {
      connection.call = null;
      active--;
      // A request that the server answered before it was all written must not share its connection with another.
      if (
        closing ||
        !parser.reusable ||
        socket.writableLength > 0 ||
        socket.destroyed ||
        idle.length >= MAX_IDLE
      ) {
        socket.destroy();
        return;
      }
      const keepMs = parser.keepAliveMs === null ? IDLE_MS : parser.keepAliveMs - IDLE_MARGIN_MS;
      if (keepMs <= 0) {
        socket.destroy();
        return;
      }
      socket.resume();
      connection.expiresMs = nowMs() + keepMs;
      idle.push(connection);
    }

    socket.once(secure ? 'secureConnect' : 'connect', () => {
      connected = true;
      clearTimeout(timer);
    });
    socket.on('data', (bytes: Buffer) => {
      if (connection.call === null) {
        socket.destroy();
        return;
      }
      try {
        if (parser.push(bytes) && connection.call !== null) release();
      } catch (error) {
        if (!(error instanceof MalformedResponse)) throw error;
        fail('upstream_malformed', `${where} sent no valid HTTP/1.1 response: ${error.message}`);
      }
    });
    socket.on('end', () => {
      if (connection.call !== null && parser.finish()) {
        connection.call = null;
        active--;
      }
      socket.destroy();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (connected)
        fail('upstream_reset', `the connection to ${where} broke: ${error.code ?? error.message}`);
      else fail('upstream_unreachable', `no connection to ${where}: ${error.code ?? error.message}`);
    });
    socket.on('close', () => {
      clearTimeout(timer);
      const at = idle.indexOf(connection);
      if (at !== -1) idle.splice(at, 1);
      fail('upstream_reset', `${where} closed the connection before its answer was whole`);
    });
    return connection;
  }

  function take(): Connection {
    for (;;) {
      const connection = idle.pop();
      if (connection === undefined) return connect();
      const { socket } = connection;
      if (!socket.destroyed && !socket.readableEnded && socket.writable && connection.expiresMs > nowMs())
        return connection;
      socket.destroy();
    }
  }

  return {
    send(request, handler) {
      const connection = take();
      const call: ActiveCall = { handler };
      connection.call = call;
      active++;
      connection.parser.expect(handler, request.method === 'HEAD');
      writeRequest(connection.socket, request);
      return {
        abort() {
          if (connection.call !== call) return;
          connection.call = null;
          active--;
          connection.parser.cancel();
          connection.socket.destroy();
        },
        pause() {
          if (connection.call === call) connection.socket.pause();
        },
        resume() {
          if (connection.call === call) connection.socket.resume();
        },
      };
    },
    get active() {
      return active;
    },
    close() {
      closing = true;
      clearInterval(sweep);
      for (const connection of idle.slice()) connection.socket.destroy();
    },
  };
}
