/**
 * Owns how a request is answered before an exchange begins: refused and counted, or told what anybody may know; its unread body is left to
 * drain for a moment.
 * Invariant: every refusal is counted once, whether or not the client still listens.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Caller } from '../exchange/caller.ts';
import { maskedName, recordedCaller } from '../exchange/masking/names.ts';
import { REFUSALS, type RefusalReason, refusalBody } from '../exchange/refusals.ts';
import type { Policy } from '../policy.ts';
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
  /** Beside those of the table. */
  headers?: Readonly<Record<string, string>>;
  /** In place of the JSON-RPC error. */
  body?: string | null;
}

/** Who is refused, and by what: known once the head was looked at. */
export interface Refused {
  policy: Policy;
  caller: Caller | null;
}

/** Counts a refusal, under the address and, where it was verified, the identity that the record may show. */
export function countRefusal(
  context: ProxyContext,
  reason: RefusalReason | 'client_closed',
  address: string,
  refused: Refused | null = null,
): void {
  const masker = (refused?.policy ?? context.policy).masking.record;
  const caller = refused?.caller?.verified === true ? refused.caller : null;
  let principal = caller?.principal ?? null;
  if (caller !== null && masker !== null) principal = recordedCaller(masker, caller).principal;
  context.denials.count(reason, maskedName(masker, address, null), principal);
  if (reason !== 'client_closed') context.metrics.denied(reason);
}

/** What the recorder answers by itself. */
export interface OwnAnswer {
  status: number;
  headers: Readonly<Record<string, string | number>>;
  body: string;
}

/** Refuses `request`: by status and JSON-RPC error as the table says. */
export function refuse(
  context: ProxyContext,
  request: IncomingMessage,
  response: ServerResponse,
  reason: RefusalReason,
  detail: RefusalDetail = {},
  refused: Refused | null = null,
): void {
  countRefusal(context, reason, request.socket.remoteAddress ?? 'unknown', refused);
  const { status, retryAfterSeconds } = REFUSALS[reason];
  const data = detail.message === undefined ? detail.data : { detail: detail.message, ...detail.data };
  const { contentType, body } = refusalBody(reason, detail.rpcIds ?? [], detail.batch ?? false, data);
  answer(context, request, response, {
    status,
    headers: {
      'Content-Type': contentType,
      ...(retryAfterSeconds === undefined ? {} : { 'Retry-After': retryAfterSeconds }),
      ...detail.headers,
    },
    body: detail.body ?? body,
  });
}

/** Answers `request` without an exchange. */
export function answer(
  context: ProxyContext,
  request: IncomingMessage,
  response: ServerResponse,
  own: OwnAnswer,
): void {
  if (response.destroyed) return;
  const bytes = Buffer.from(own.body);
  const { headers } = request;
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  const unread = hasBody && !request.complete;
  if (unread || context.draining) response.shouldKeepAlive = false;
  response.sendDate = false;
  // RFC 9110 8.6: no length with 204.
  const length = own.status === 204 ? {} : { 'Content-Length': bytes.length };
  response.writeHead(own.status, { ...own.headers, ...length });
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
  countRefusal(context, reason, address);
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
