/**
 * Owns how a request is refused before an exchange begins: counted, answered, its unread body left to drain for a moment.
 * Invariant: every refusal is counted once, whether or not the client still listens.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { REFUSALS, type RefusalReason, refusalBody } from '../exchange/refusals.ts';
import type { ProxyContext } from './context.ts';

/** How long a client that is refused in the middle of its body may go on sending before it is cut (ms). */
const LINGER_MS = 1_000;
/** How much of the rest is read meanwhile (bytes): small bodies arrive whole, floods wait in the sender's own memory. */
const LINGER_BYTES = 8 * 1024 * 1024;

export interface RefusalDetail {
  /** JSON texts of the ids of the requests in the body, as far as known. */
  rpcIds?: readonly string[];
  batch?: boolean;
  message?: string;
  data?: Readonly<Record<string, unknown>>;
}

function count(context: ProxyContext, reason: RefusalReason, address: string): void {
  context.denials.count(reason, address, null);
  context.metrics.denied(reason);
}

/** Refuses `request`: by status and JSON-RPC error as the table says. */
export function refuse(
  context: ProxyContext,
  request: IncomingMessage,
  response: ServerResponse,
  reason: RefusalReason,
  detail: RefusalDetail = {},
): void {
  count(context, reason, request.socket.remoteAddress ?? 'unknown');
  if (response.destroyed) return;
  const { status, retryAfterSeconds } = REFUSALS[reason];
  const data = detail.message === undefined ? detail.data : { detail: detail.message, ...detail.data };
  const { contentType, body } = refusalBody(reason, detail.rpcIds ?? [], detail.batch ?? false, data);
  const bytes = Buffer.from(body);
  const { headers } = request;
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  const unread = hasBody && !request.complete;
  if (unread || context.draining) response.shouldKeepAlive = false;
  response.sendDate = false;
  response.writeHead(status, {
    'Content-Type': contentType,
    'Content-Length': bytes.length,
    ...(retryAfterSeconds === undefined ? {} : { 'Retry-After': retryAfterSeconds }),
  });
  if (!unread || request.method === 'HEAD') {
    response.end(bytes);
    return;
  }
  // Closing now would reset the connection under the client's feet, and it might never see the answer (RFC 9112 9.6).
  response.write(bytes);
  const timer = setTimeout(() => response.destroy(), LINGER_MS);
  let read = 0;
  request.on('data', (rest: Buffer) => {
    read += rest.length;
    if (read > LINGER_BYTES) request.pause();
  });
  request.resume();
  request.once('end', () => response.end());
  response.once('close', () => clearTimeout(timer));
}

/** Refuses what node could not parse, or a tunnel: on the bare connection, which is closed after. */
export function refuseConnection(
  context: ProxyContext,
  socket: Duplex,
  address: string,
  reason: RefusalReason,
): void {
  count(context, reason, address);
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const { status, message } = REFUSALS[reason];
  const { contentType, body } = refusalBody(reason, [], false);
  socket.end(
    `HTTP/1.1 ${status} ${message.replace(/[^ -~]/g, '')}\r\nConnection: close\r\nContent-Type: ${contentType}\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}
