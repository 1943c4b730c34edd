/**
 * Owns the way of one request: checked on its headers, read whole, classified, recorded, and only then forwarded.
 * Invariant: not a byte goes to the server before the request's lines are on disk; what is refused before is counted.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { bodyOf, splitBody } from '@mcp-recorder/recording/format/body';
import { encodeChunkTail, encodeRequestTail } from '@mcp-recorder/recording/format/encode';
import { cutName } from '@mcp-recorder/recording/format/cut';
import type { Ambiguity, Body, Call, ClientInfo } from '@mcp-recorder/recording/format/line';
import { decodeBodyText } from '../exchange/body-text.ts';
import { type Classification, classifyRequest } from '../exchange/classify.ts';
import { encodeRecordedHeaders, endToEndHeaders } from '../exchange/headers.ts';
import type { RefusalReason } from '../exchange/refusals.ts';
import { recordedTarget, sessionIdOf } from '../exchange/target.ts';
import type { LineTail } from '../spool/spool.ts';
import { decodeWhole, readCoding } from './content-coding.ts';
import type { ProxyContext } from './context.ts';
import { Exchange } from './exchange.ts';
import { headerOf } from './headers.ts';
import { refuse, type RefusalDetail } from './refuse.ts';
import { readBody } from './request-body.ts';
import { ResponseRecorder } from './response.ts';

/** Bodies up to this size fit into one line whatever has to be escaped (bytes). */
const ONE_LINE_BYTES = 128 * 1024;
/** JSON text of a piece of a longer one: it leaves room for a target and headers as long as they may be (bytes). */
const MAX_PIECE_BYTES = 6 * ONE_LINE_BYTES;

type Passed = Extract<Classification, { verdict: 'pass' }>;

/** What a drain knows of a request. */
export interface RequestProgress {
  /** The exchange began; `finished` is called when its end is recorded. */
  begun(recorder: ResponseRecorder): void;
  finished(): void;
}

/**
 * Handles one request from its headers on.
 * @param expectsContinue the client waits for 100-continue before it sends its body
 */
export function handleRequest(
  context: ProxyContext,
  request: IncomingMessage,
  response: ServerResponse,
  expectsContinue: boolean,
  progress: RequestProgress,
): void {
  const { budget, maxRequestBytes } = context;
  let taken = 0;
  response.once('close', () => {
    budget.give(taken);
    taken = 0;
  });

  function deny(reason: RefusalReason, detail?: RefusalDetail): void {
    refuse(context, request, response, reason, detail);
  }
  /** The client went away: there is nobody to answer, and nothing was passed on. */
  function countGone(): void {
    context.denials.count('client_closed', addressOf(request), null);
  }
  function isGone(): boolean {
    const gone = response.closed || response.destroyed;
    if (gone) countGone();
    return gone;
  }
  const problem = refusedByHeaders(request);
  if (problem !== null) return deny(problem.reason, { message: problem.message });
  const gate = context.gate.current;
  if (gate.state === 'Closed') {
    return deny('gate_closed', { message: gate.message, data: { gate: gate.reason } });
  }
  const coding = readCoding(request.headers['content-encoding'] ?? null);
  if (coding === 'unknown') return deny('unsupported_coding');
  if (expectsContinue && Number(request.headers['content-length'] ?? 0) <= maxRequestBytes) {
    response.writeContinue();
  }
  readBody(request, maxRequestBytes, budget, (read) => {
    if (read.outcome === 'client_closed') {
      // A body that broke in the middle has been refused by now.
      if (!response.headersSent) countGone();
      return;
    }
    if (read.outcome !== 'read') return deny(read.outcome);
    const { bytes } = read;
    if (bytes === null) return classify(null);
    if (isGone()) return budget.give(bytes.length);
    taken += bytes.length;
    if (coding === null || bytes.length === 0) return classify(bytes);
    // What it decodes to is known only afterwards.
    if (!budget.take(maxRequestBytes)) return deny('memory');
    decodeWhole(bytes, coding, maxRequestBytes, (result) => {
      budget.give(maxRequestBytes);
      if (isGone()) return;
      if ('failure' in result) return deny(result.failure);
      if (!budget.take(result.decoded.length)) return deny('memory');
      taken += result.decoded.length;
      classify(result.decoded, bytes);
    });
  });

  /** @param encoded the body as it came, when it was content-coded */
  function classify(decoded: Buffer | null, encoded: Buffer | null = decoded): void {
    const text = decoded === null ? null : decodeBodyText(decoded);
    const classification = classifyRequest({
      method: request.method as string,
      contentType: decoded === null ? null : (request.headers['content-type'] ?? null),
      text: text?.ok ? text.text : null,
      headers: {
        mcpMethod: wholeHeader(request, 'mcp-method'),
        mcpName: wholeHeader(request, 'mcp-name'),
      },
    });
    if (classification.verdict === 'refuse') {
      const { reason, rpcIds, batch, message } = classification;
      return deny(reason, { rpcIds, batch, message });
    }
    const exchange = new Exchange(context);
    describe(exchange, request, classification);
    const tails: LineTail[] = [];
    recordRequest(exchange, request, decoded, encoded, text?.ok ? text.text : null, classification, tails);
    const recorder = new ResponseRecorder(exchange, response, progress.finished);
    response.once('close', () => recorder.clientClosed());
    progress.begun(recorder);
    exchange.append(tails, (error) => {
      if (error !== null) {
        exchange.abandon(error, progress.finished);
        deny(error.code === 'sync_failed' ? 'not_durable' : 'gate_closed', {
          rpcIds: exchange.rpcIds,
          batch: exchange.batch,
          message: error.message,
        });
        return;
      }
      recorder.forward({
        method: request.method as string,
        target: request.url as string,
        headers: endToEndHeaders(request.rawHeaders, 'request'),
        body: encoded,
      });
    });
  }
}

function addressOf(request: IncomingMessage): string {
  return request.socket.remoteAddress ?? 'unknown';
}

/** Every value of the header, as one list (RFC 9110 5.3): a server may read another of them than the first. */
function wholeHeader(request: IncomingMessage, name: string): string | null {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(', ') : (value ?? null);
}

/** What the headers alone forbid. */
function refusedByHeaders(request: IncomingMessage): { reason: RefusalReason; message: string } | null {
  const { method, rawHeaders } = request;
  if (method === 'TRACE' || method === 'CONNECT') {
    return { reason: 'method_not_allowed', message: `${method} can't be recorded and is not passed on` };
  }
  let hosts = 0;
  let sessionIds = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++;
    else if (name.length === 14 && name.toLowerCase() === 'mcp-session-id') sessionIds++;
  }
  if (sessionIds > 1) {
    return { reason: 'malformed_http', message: 'the request has more than one Mcp-Session-Id header' };
  }
  // RFC 9112 3.2: the server might take another one of them than the recorder.
  if (hosts > 1) return { reason: 'malformed_http', message: 'the request has more than one Host header' };
  if (hosts === 0 && request.httpVersion === '1.1') {
    return { reason: 'malformed_http', message: 'the request has no Host header' };
  }
  return null;
}

/** Takes from headers and messages what names the session, the protocol revision and the client. */
function describe(exchange: Exchange, request: IncomingMessage, { messages, batch }: Passed): void {
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
function recordRequest(
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
