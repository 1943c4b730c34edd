/**
 * Owns what the record says of a request: its session, protocol and client, and the lines that hold its head and body.
 * Invariant: what a request says of itself is recorded before any of it is used, and no line passes its bound.
 */
import type { IncomingMessage } from 'node:http';
import { bodyOf, splitBody } from '@mcp-recorder/recording/format/body';
import { cutName } from '@mcp-recorder/recording/format/cut';
import { encodeChunkTail, encodeRequestTail } from '@mcp-recorder/recording/format/encode';
import type { Ambiguity, Body, Call, ClientInfo } from '@mcp-recorder/recording/format/line';
import type { Classification } from '../exchange/classify.ts';
import { encodeRecordedHeaders } from '../exchange/headers.ts';
import { recordedTarget, sessionIdOf } from '../exchange/target.ts';
import type { LineTail } from '../spool/spool.ts';
import type { Exchange } from './exchange.ts';
import { headerOf } from './headers.ts';

/** Bodies up to this size fit into one line whatever has to be escaped (bytes). */
const ONE_LINE_BYTES = 128 * 1024;
/** JSON text of a piece of a longer one: it leaves room for a target and headers as long as they may be (bytes). */
const MAX_PIECE_BYTES = 6 * ONE_LINE_BYTES;

type Passed = Extract<Classification, { verdict: 'pass' }>;

/** The client's address, as the record and refusals name it. */
export function addressOf(request: IncomingMessage): string {
  return request.socket.remoteAddress ?? 'unknown';
}

/** Takes from headers and messages what names the session, the protocol revision and the client. */
export function describeRequest(
  exchange: Exchange,
  request: IncomingMessage,
  { messages, batch }: Passed,
): void {
  const first = messages[0];
  const mcpSessionId = headerOf(request.rawHeaders, 'mcp-session-id');
  const sseSessionId = sessionIdOf(request.url as string);
  exchange.batch = batch;
  exchange.deletesSession = request.method === 'DELETE';
  exchange.mayOpenSession =
    request.method === 'GET' && mcpSessionId === null && !('last-event-id' in request.headers);
  const protocol = headerOf(request.rawHeaders, 'mcp-protocol-version') ?? first?.protocolVersion ?? null;
  exchange.protocol = protocol === null ? null : cutName(protocol);
  exchange.clientInfo = cutClientInfo(first?.clientInfo ?? null);
  // A session that `initialize` opens is named by its answer.
  const opens = first?.method === 'initialize';
  if (
    mcpSessionId !== null ||
    sseSessionId !== null ||
    (first !== undefined && first.kind !== 'other' && !opens)
  ) {
    exchange.nameSession({
      mcpSessionId,
      sseSessionId,
      traceparent: first?.traceparent ?? headerOf(request.rawHeaders, 'traceparent'),
      clientInfo: exchange.clientInfo,
      clientAddress: addressOf(request),
    });
  }
}

function cutClientInfo(info: ClientInfo | null): ClientInfo | null {
  if (info === null) return null;
  const name = cutName(info.name);
  const version = info.version === null ? null : cutName(info.version);
  return name === info.name && version === info.version ? info : { name, version, cut: true };
}

/** Makes the `request` line, and `chunk` lines for what does not fit on it. */
export function recordRequest(
  exchange: Exchange,
  request: IncomingMessage,
  decoded: Buffer | null,
  encoded: Buffer | null,
  text: string | null,
  { messages, ambiguous }: Passed,
  tails: LineTail[],
): void {
  const wireBytes = encoded?.length ?? 0;
  exchange.bytesIn = wireBytes;
  const pieces =
    decoded === null || decoded.length <= ONE_LINE_BYTES ? null : splitBody(decoded, MAX_PIECE_BYTES);
  const calls = exchange.takeMessages(messages, 'client');
  if (pieces === null) {
    let body: Pick<Body, 'body' | 'body_encoding'>;
    if (decoded === null) body = { body: null, body_encoding: null };
    else body = text === null ? bodyOf(decoded) : { body: text, body_encoding: 'utf8' };
    tails.push(
      requestTail(exchange, request, { ...body, wire_bytes: wireBytes, ...found(calls, ambiguous) }),
    );
  } else {
    const whole = decoded === encoded;
    let offset = 0;
    for (const [i, piece] of pieces.entries()) {
      const body: Body = {
        ...bodyOf(piece),
        wire_bytes: whole ? piece.length : i === 0 ? wireBytes : 0,
        ...(i === pieces.length - 1 ? found(calls, ambiguous) : {}),
      };
      if (i === 0) tails.push(requestTail(exchange, request, body));
      else {
        tails.push(
          encodeChunkTail({
            exchange: exchange.id,
            part: exchange.nextPart(),
            sender: 'client',
            body_offset: offset,
            ...body,
          }),
        );
      }
      offset += piece.length;
    }
  }
  exchange.takeResults(tails);
}

function found(calls: Call[], ambiguous: Ambiguity[]): Pick<Body, 'calls' | 'ambiguous'> {
  return { ...(ambiguous.length > 0 ? { ambiguous } : {}), ...(calls.length > 0 ? { calls } : {}) };
}

function requestTail(exchange: Exchange, request: IncomingMessage, body: Body): LineTail {
  const { hash } = exchange.context.sessions;
  const { target, masked } = recordedTarget(request.url as string, hash);
  const headers = encodeRecordedHeaders(request.rawHeaders, hash);
  return encodeRequestTail({
    exchange: exchange.id,
    part: exchange.nextPart(),
    principalJson: exchange.principalJson,
    ...exchange.known(),
    httpJson:
      `{"method":${JSON.stringify(request.method)},"target":${JSON.stringify(target)},"status":null,` +
      `"client_address":${JSON.stringify(addressOf(request))},"headers":${headers}}`,
    ...body,
    ...(masked === 0 ? {} : { masked: [{ rule: 'query', count: masked }] }),
  });
}
