/**
 * Owns what the record says of a request: its session, protocol and client, and the lines that hold its head and body.
 * Invariant: what a request says of itself is recorded before any of it is used, and no line passes its bound.
 */
import type { IncomingMessage } from 'node:http';
import { bodyOf, splitBody } from '@mcp-recorder/recording/format/body';
import { cutName } from '@mcp-recorder/recording/format/cut';
import { encodeChunkTail, encodeRequestTail } from '@mcp-recorder/recording/format/encode';
import type { Body, ClientInfo, Masked, Withheld } from '@mcp-recorder/recording/format/line';
import type { Classification } from '../exchange/classify.ts';
import { encodeRecordedHeaders } from '../exchange/headers.ts';
import type { Message } from '../exchange/json-scan.ts';
import { maskBody } from '../exchange/masking/mask-body.ts';
import type { Masker } from '../exchange/masking/masking.ts';
import { maskedHeader, maskedName, recordedCaller } from '../exchange/masking/names.ts';
import { Tally } from '../exchange/masking/tally.ts';
import { alignRoutingHeaders } from '../exchange/routing-headers.ts';
import { recordedTarget, sessionIdOf } from '../exchange/target.ts';
import type { LineTail } from '../spool/spool.ts';
import type { Exchange } from './exchange.ts';
import { messagesOf, type WholeRequest } from './forwarded-request.ts';
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

/** A body as the record shows it. */
export interface ShownBody {
  /** Null when there is none, or none of it may be shown. */
  bytes: Buffer | null;
  /** Of `bytes`; null when they are no text. */
  text: string | null;
  /** The messages as their names are recorded; undefined when they could not be read from what is shown. */
  messages: readonly Message[] | undefined;
  masked: Masked[] | null;
  withheld: Withheld['reason'] | null;
}

/** What the record shows of the body. Masked whole, so that nothing that is to be masked is cut in two. */
export function showBody(exchange: Exchange, { decoded, text, messages }: WholeRequest): ShownBody {
  const { masker } = exchange;
  const found = masker === null || decoded === null ? NOTHING_FOUND : maskBody(masker, decoded, text);
  if (found.found === 'nothing') return { bytes: decoded, text, messages, masked: null, withheld: null };
  if (found.found === 'too_much') {
    return { bytes: null, text: null, messages: undefined, masked: null, withheld: 'masking_bound' };
  }
  const { bytes, masked } = found;
  return { bytes, text: found.text, messages: messagesOf(found.text), masked, withheld: null };
}

const NOTHING_FOUND = { found: 'nothing' } as const;

/** Takes from headers and messages what names the session, the protocol revision and the client. */
export function describeRequest(
  exchange: Exchange,
  request: IncomingMessage,
  { messages, batch }: Passed,
  shown: ShownBody,
): void {
  const first = messages[0];
  const shownFirst = shown.messages?.[0] ?? first;
  const mcpSessionId = headerOf(request.rawHeaders, 'mcp-session-id');
  const sseSessionId = sessionIdOf(request.url as string);
  exchange.batch = batch;
  exchange.deletesSession = request.method === 'DELETE';
  exchange.mayOpenSession =
    request.method === 'GET' && mcpSessionId === null && !('last-event-id' in request.headers);
  exchange.sentSessionId = mcpSessionId !== null || sseSessionId !== null;
  const { masker } = exchange;
  const protocolHeader = headerOf(request.rawHeaders, 'mcp-protocol-version');
  const protocol = protocolHeader ?? first?.protocolVersion ?? null;
  exchange.protocol = protocol === null ? null : cutName(protocol);
  exchange.shownProtocol = exchange.protocol;
  if (masker !== null && protocol !== null) {
    const said = protocolHeader ?? shownFirst?.protocolVersion ?? '';
    exchange.shownProtocol = cutName(maskedHeader(masker, 'mcp-protocol-version', said, null));
  }
  exchange.clientInfo = cutClientInfo(masker, shownFirst?.clientInfo ?? null);
  // A session that `initialize` opens is named by its answer.
  const opens = first?.method === 'initialize';
  if (exchange.sentSessionId || (first !== undefined && first.kind !== 'other' && !opens)) {
    exchange.nameSession({
      mcpSessionId,
      sseSessionId,
      traceparent: first?.traceparent ?? headerOf(request.rawHeaders, 'traceparent'),
      clientInfo: cutClientInfo(null, first?.clientInfo ?? null),
      clientAddress: addressOf(request),
    });
  }
}

/** Masked whole, and cut after that. */
function cutClientInfo(masker: Masker | null, info: ClientInfo | null): ClientInfo | null {
  if (info === null) return null;
  const wholeName = maskedName(masker, info.name, null);
  const wholeVersion = info.version === null ? null : maskedName(masker, info.version, null);
  const name = cutName(wholeName);
  const version = wholeVersion === null ? null : cutName(wholeVersion);
  return { name, version, ...(name === wholeName && version === wholeVersion ? {} : { cut: true }) };
}

/**
 * Makes the `request` line, and `chunk` lines for what does not fit on it.
 * @param wireMasked what was masked of it on the way to the server
 */
export function recordRequest(
  exchange: Exchange,
  whole: WholeRequest,
  { ambiguous }: Passed,
  shown: ShownBody,
  wireMasked: Masked[] | undefined,
  tails: LineTail[],
): void {
  const { decoded, encoded, messages } = whole;
  const { metrics } = exchange.context;
  const wireBytes = encoded?.length ?? 0;
  exchange.bytesIn = wireBytes;
  const calls = exchange.takeMessages(messages, 'client', shown.messages);
  const tally = exchange.masker === null ? null : new Tally();
  const reason = exchange.withholds ? 'metadata_only' : shown.withheld;
  const isWithheld = reason !== null && decoded !== null && decoded.length > 0;
  const bytes = isWithheld ? null : shown.bytes;
  if (bytes !== null) tally?.add(shown.masked);
  if (isWithheld) metrics.withheld(reason);
  const pieces = bytes === null || bytes.length <= ONE_LINE_BYTES ? null : splitBody(bytes, MAX_PIECE_BYTES);
  const found: Partial<Body> = {};
  if (ambiguous.length > 0) found.ambiguous = ambiguous;
  if (calls.length > 0) found.calls = calls;
  const first: Partial<Body> = {};
  if (wireMasked !== undefined) first.wire_masked = wireMasked;
  if (isWithheld) first.withheld = { reason, bytes: decoded.length };
  if (pieces === null) {
    let body: Pick<Body, 'body' | 'body_encoding'>;
    if (bytes === null) body = { body: null, body_encoding: null };
    else body = shown.text === null ? bodyOf(bytes) : { body: shown.text, body_encoding: 'utf8' };
    tails.push(
      requestTail(exchange, whole, shown, { ...body, wire_bytes: wireBytes, ...first, ...found }, tally),
    );
  } else {
    // Bytes of the wire and of the record are the same: each line counts for its own. Else the first counts for all.
    const isAsItCame = bytes === encoded;
    let offset = 0;
    for (const [i, piece] of pieces.entries()) {
      const body: Body = {
        ...bodyOf(piece),
        wire_bytes: isAsItCame ? piece.length : i === 0 ? wireBytes : 0,
        ...(i === 0 ? first : {}),
        ...(i === pieces.length - 1 ? found : {}),
      };
      if (i === 0) tails.push(requestTail(exchange, whole, shown, body, tally));
      else {
        tails.push(
          encodeChunkTail({
            exchange: exchange.id,
            part: exchange.nextPart(),
            sender: 'client',
            body_offset: bytes === decoded ? offset : (decoded?.length ?? 0),
            ...body,
          }),
        );
      }
      offset += piece.length;
    }
  }
  exchange.takeResults(tails);
}

function requestTail(
  exchange: Exchange,
  { request, messages }: WholeRequest,
  shown: ShownBody,
  body: Body,
  tally: Tally | null,
): LineTail {
  const { masker, caller, context } = exchange;
  const { hash } = context.sessions;
  const { target, masked } = recordedTarget(request.url as string, hash, masker, tally);
  const rawHeaders = alignRoutingHeaders(request.rawHeaders, messages, shown.messages);
  const headers = encodeRecordedHeaders(rawHeaders, hash, masker, tally);
  const address = maskedName(masker, addressOf(request), tally);
  if (masker !== null) tally?.add(recordedCaller(masker, caller).masked);
  const known = exchange.known();
  const counts = tally?.counts ?? [];
  for (const { rule, count } of counts) context.metrics.masked(rule, count);
  if (masked > 0) counts.push({ rule: 'query', count: masked });
  return encodeRequestTail({
    exchange: exchange.id,
    part: exchange.nextPart(),
    principalJson: exchange.principalJson,
    ...known,
    httpJson:
      `{"method":${JSON.stringify(request.method)},"target":${JSON.stringify(target)},"status":null,` +
      `"client_address":${JSON.stringify(address)},"headers":${headers}}`,
    ...body,
    ...(counts.length > 0 ? { masked: counts } : {}),
  });
}
