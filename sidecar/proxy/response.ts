/**
 * Owns the way of one response: recorded piece by piece, and released to the client as each piece becomes durable.
 * Invariant: no byte is handed to the client's socket before the lines that hold it are on disk, and bytes leave in the
 * order they came; when that can't be kept, the client's connection is cut, never falsified.
 */
import type { ServerResponse } from 'node:http';
import { encodeResponseTail } from '@mcp-recorder/recording/format/encode';
import type { Body, EndHow, RecordedHeader } from '@mcp-recorder/recording/format/line';
import { encodeRecordedHeaders, endToEndHeaders, recordedHeaders } from '../exchange/headers.ts';
import type { DenialAnswer } from '../exchange/denial.ts';
import { REFUSALS, type RefusalReason, refusalBody } from '../exchange/refusals.ts';
import type { LineTail, SpoolError } from '../spool/spool.ts';
import type { Exchange } from './exchange.ts';
import { headerOf, withoutHeader } from './headers.ts';
import {
  BodyRecorder,
  countedBody,
  INLINE_BYTES,
  inlineBody,
  isInlineable,
  takeChunks,
} from './response-body.ts';
import type { UpstreamCall, UpstreamFailure, UpstreamHandler, UpstreamRequest } from './upstream.ts';

/** What is let go when the lines that were appended with it are durable. */
interface Release {
  information: Head | null;
  head: Head | null;
  bytes: Buffer[];
  trailers: string[] | null;
  /** How the response to the client ends with this release, if it does. */
  end: 'whole' | 'cut' | null;
}

interface Head {
  status: number;
  reason: string;
  headers: string[];
}

/** Whole bodies up to this size are handed to the socket together with the head (bytes). */
const JOINED_BYTES = 16 * 1024;
/** Bytes read from the server and not yet taken by the client's socket, above which the server is made to wait. */
const PAUSE_BYTES = 512 * 1024;

/** Who waits for the end of the exchange. */
export interface ExchangeOwner {
  /** Called once, when the end of the exchange is on disk, or can't be brought there. */
  exchangeFinished(): void;
  /** The server answers: it has the request, or wants no more of it. */
  answered(): void;
}

export class ResponseRecorder implements UpstreamHandler {
  readonly #exchange: Exchange;
  readonly #response: ServerResponse;
  readonly #owner: ExchangeOwner;
  #forwarded = false;
  /** Why the exchange ends before its response does. */
  #stopped: EndHow | null = null;
  #endAsked = false;
  /** Also when an earlier part of the response was given up: its end is not recorded a second time. */
  #endRecorded = false;
  #call: UpstreamCall | null = null;
  #head: Head | null = null;
  #headRecorded = false;
  #answeredBy: 'server' | 'recorder' = 'server';
  #body: BodyRecorder | null = null;
  /** Body bytes as received since the last flush. */
  #arrived: Buffer[] = [];
  #arrivedBytes = 0;
  #upstreamEnded: EndHow | null = null;
  #trailers: string[] = [];
  #flushQueued = false;
  #heldBytes = 0;
  #paused = false;
  /** Bytes that the client's socket has not drained yet; null when it takes more at once. */
  #undrained: number | null = null;
  /** The client is gone or cut off: nothing more is released. */
  #clientGone = false;

  constructor(exchange: Exchange, response: ServerResponse, owner: ExchangeOwner) {
    this.#exchange = exchange;
    this.#response = response;
    this.#owner = owner;
  }

  /** Sends the request on; its lines are durable. Does nothing for the server when the client is gone by now. */
  forward(request: UpstreamRequest): void {
    this.#forwarded = true;
    if (this.#stopped !== null) this.#stop(this.#stopped);
    else this.#call = this.#exchange.context.upstream.send(request, this);
  }

  /** True while the response is an event stream. */
  get streams(): boolean {
    return this.#body?.isEventStream ?? false;
  }

  get unrecorded(): boolean {
    return this.#exchange.unrecorded;
  }

  /** True for an event stream that answers no call and has nothing on its way to the client: a drain need not wait for it. */
  get isIdleStream(): boolean {
    const answersCalls = this.#exchange.open.some(({ call }) => call.sender === 'client');
    return this.streams && !answersCalls && this.#heldBytes === 0;
  }

  onInformation(status: number, reason: string, headers: string[]): void {
    const passed = endToEndHeaders(headers, 'response');
    this.#append([this.#responseTail(status, headers, NO_BODY)], {
      information: { status, reason, headers: passed },
      head: null,
      bytes: [],
      trailers: null,
      end: null,
    });
  }

  onHead(status: number, reason: string, headers: string[]): void {
    this.#head = { status, reason, headers };
    this.#owner.answered();
    const sessionId = headerOf(headers, 'mcp-session-id');
    if (sessionId !== null) this.#exchange.nameSession({ mcpSessionId: sessionId });
    this.#queueFlush();
  }

  onBody(bytes: Buffer): void {
    this.#arrived.push(bytes);
    this.#arrivedBytes += bytes.length;
    this.#hold(bytes.length);
    this.#queueFlush();
  }

  onEnd(trailers: string[]): void {
    this.#trailers = trailers;
    this.#upstreamEnded = 'complete';
    this.#queueFlush();
  }

  onError(failure: UpstreamFailure, message: string): void {
    if (this.#head === null)
      this.answer(failure, message, failure === 'upstream_timeout' ? 'timeout' : 'server_closed');
    else {
      this.#upstreamEnded = 'server_closed';
      this.#queueFlush();
    }
  }

  /**
   * Answers in the place of a server that was never asked: what is recorded of the request has no room, or no copy in the store. The disk
   * is enough for these words of the recorder's own.
   */
  refuse(reason: RefusalReason, data: Readonly<Record<string, unknown>>): void {
    this.#answer(reason, data, 'cut', true);
  }

  /**
   * Answers a request that a rule denies.
   * @param tails the lines of the request: they and all that follows go in one append
   * @param abandon called when no line of it came to the disk, so that there is no exchange
   */
  answerDenied(
    tails: LineTail[],
    { status, contentType, body }: DenialAnswer,
    abandon: (error: SpoolError) => void,
  ): void {
    this.#answerWith(tails, { status, contentType, body, how: 'denied', closing: false, abandon });
  }

  /** Answers in the server's place. Nothing of a response may have been recorded yet. */
  answer(reason: RefusalReason, message: string, how: EndHow): void {
    this.#answer(reason, { detail: message }, how, false);
  }

  #answer(
    reason: RefusalReason,
    data: Readonly<Record<string, unknown>>,
    how: EndHow,
    closing: boolean,
  ): void {
    const exchange = this.#exchange;
    const { status, retryAfterSeconds } = REFUSALS[reason];
    const { contentType, body } = refusalBody(reason, exchange.rpcIds, exchange.batch, data);
    this.#answerWith([], { status, contentType, body, retryAfterSeconds, how, closing });
  }

  #answerWith(tails: LineTail[], own: RecorderAnswer): void {
    const exchange = this.#exchange;
    const { status, contentType, body, retryAfterSeconds, how, closing } = own;
    const bytes = Buffer.from(body);
    const headers = ['Content-Type', contentType, 'Content-Length', String(bytes.length)];
    if (retryAfterSeconds !== undefined) headers.push('Retry-After', String(retryAfterSeconds));
    this.#answeredBy = 'recorder';
    this.#headRecorded = true;
    this.#upstreamEnded = how;
    const sent = this.#response.req.method === 'HEAD' ? [] : [bytes];
    if (sent.length === 0) tails.push(this.#responseTail(status, headers, NO_BODY));
    else if (bytes.length <= INLINE_BYTES) {
      tails.push(this.#responseTail(status, headers, countedBody(exchange, bytes)));
    } else {
      // The ids that it answers may be as long as a request.
      tails.push(this.#responseTail(status, headers, NO_BODY));
      takeChunks(exchange, bytes, tails);
    }
    if (sent.length > 0) exchange.offeredBytes += bytes.length;
    exchange.takeEnd(tails, {
      how,
      status,
      answeredBy: 'recorder',
      tooLarge: false,
      trailers: NO_TRAILERS,
      released: exchange.offeredBytes,
    });
    const head = { status, reason: '', headers };
    const release: Release = { information: null, head, bytes: sent, trailers: null, end: 'whole' };
    this.#append(tails, release, closing, own.abandon);
  }

  /** The client closed its connection: the server learns it at once, and the record says it. */
  clientClosed(): void {
    this.#stop('client_closed');
  }

  /** Ends the exchange on the recorder's side (drain). */
  cut(): void {
    this.#stop('cut');
    this.#response.destroy();
  }

  #stop(how: EndHow): void {
    this.#clientGone = true;
    this.#stopped ??= how;
    this.#call?.abort();
    this.#body?.close();
    // Before the request is durable there is no exchange to end.
    if (!this.#exchange.ended && this.#forwarded) this.#askEnd();
  }

  /** Records the end once it is known which of the exchange's lines are on disk. */
  #askEnd(): void {
    if (this.#endAsked) return;
    this.#endAsked = true;
    this.#exchange.whenAnswered(() => {
      if (!this.#endRecorded) this.#recordEnd(2);
    });
  }

  /** Records the end of an exchange that nobody waits for; once more, numbered anew, when its lines are lost with others. */
  #recordEnd(attempts: number): void {
    const tails: LineTail[] = [];
    this.#exchange.takeEnd(tails, {
      how: this.#stopped as EndHow,
      status: this.#head?.status ?? null,
      answeredBy: this.#answeredBy,
      tooLarge: this.#body?.tooLarge ?? false,
      trailers: NO_TRAILERS,
      released: this.#exchange.releasedBytes,
    });
    this.#exchange.append(
      tails,
      (error) => {
        if (error !== null && attempts > 1) this.#recordEnd(attempts - 1);
        else this.#owner.exchangeFinished();
      },
      true,
    );
  }

  #queueFlush(): void {
    if (this.#flushQueued) return;
    this.#flushQueued = true;
    process.nextTick(flushLater, this);
  }

  /** Records and appends all that can be recorded now; called a tick after bytes came, so that what came together stays together. */
  flush(): void {
    this.#flushQueued = false;
    const exchange = this.#exchange;
    if (exchange.ended || this.#clientGone || this.#head === null) return;
    const tails: LineTail[] = [];
    const release: Release = { information: null, head: null, bytes: [], trailers: null, end: null };
    const { status, reason, headers } = this.#head;
    const arrived = this.#arrived;
    if (arrived.length > 0) this.#arrived = [];
    if (!this.#headRecorded) {
      this.#headRecorded = true;
      release.head = { status, reason, headers: this.#passedHeaders(headers) };
      if (this.#upstreamEnded === 'complete' && this.#arrivedBytes <= INLINE_BYTES && isInlineable(headers)) {
        // The whole response came at once: one line holds it.
        const bytes = arrived.length === 1 ? (arrived[0] as Buffer) : Buffer.concat(arrived);
        tails.push(this.#responseTail(status, headers, inlineBody(exchange, headers, bytes)));
        exchange.takeResults(tails);
        if (bytes.length > 0) release.bytes.push(bytes);
        this.#finish(tails, release, status, false);
        return;
      }
      tails.push(this.#responseTail(status, headers, NO_BODY));
      this.#body = new BodyRecorder(exchange, headers, () => this.flush());
    }
    const body = this.#body as BodyRecorder;
    for (const bytes of arrived) body.push(bytes);
    if (this.#upstreamEnded !== null) body.end();
    body.take(tails, release.bytes);
    if (this.#upstreamEnded !== null && body.done) {
      this.#finish(tails, release, status, body.tooLarge);
      body.close();
      return;
    }
    for (const bytes of release.bytes) exchange.offeredBytes += bytes.length;
    if (tails.length > 0 || release.bytes.length > 0) this.#append(tails, release);
  }

  /** Appends the last lines of the exchange and what is released with them. */
  #finish(tails: LineTail[], release: Release, status: number, tooLarge: boolean): void {
    const exchange = this.#exchange;
    const how = this.#upstreamEnded as EndHow;
    const trailers = this.#trailers;
    for (const bytes of release.bytes) exchange.offeredBytes += bytes.length;
    release.end = how === 'complete' ? 'whole' : 'cut';
    if (trailers.length > 0) release.trailers = endToEndHeaders(trailers, 'response');
    exchange.takeEnd(tails, {
      how,
      status,
      answeredBy: 'server',
      tooLarge,
      trailers:
        trailers.length === 0 ? NO_TRAILERS : recordedHeaders(trailers, exchange.context.sessions.hash),
      released: exchange.offeredBytes,
    });
    this.#append(tails, release);
  }

  /** `Trailer` announces what only a chunked body can carry; node refuses to write it elsewhere (RFC 9110 6.6.2). */
  #passedHeaders(headers: string[]): string[] {
    const passed = endToEndHeaders(headers, 'response');
    const { method, httpVersion } = this.#response.req;
    const isChunked =
      headerOf(headers, 'transfer-encoding') !== null && method !== 'HEAD' && httpVersion !== '1.0';
    return isChunked ? passed : withoutHeader(passed, 'trailer');
  }

  #responseTail(status: number, headers: readonly string[], body: Body): LineTail {
    const exchange = this.#exchange;
    const hash = exchange.context.sessions.hash;
    return encodeResponseTail({
      exchange: exchange.id,
      part: exchange.nextPart(),
      ...exchange.known(),
      answered_by: this.#answeredBy,
      content_coding: headerOf(headers, 'content-encoding'),
      httpJson: `{"method":null,"target":null,"status":${status},"client_address":null,"headers":${encodeRecordedHeaders(headers, hash)}}`,
      ...body,
    });
  }

  #append(tails: LineTail[], release: Release, closing = false, abandon?: (error: SpoolError) => void): void {
    const lines = tails.length;
    this.#exchange.append(
      tails,
      (error) => {
        if (error === null) this.#durable(release);
        else if (abandon !== undefined && error.durableLines === 0) abandon(error);
        else this.lost(release.end !== null && error.durableLines === lines);
      },
      closing,
    );
  }

  #durable(release: Release): void {
    const { information, head, bytes, trailers, end } = release;
    if (end !== null) {
      this.#endRecorded = true;
      this.#owner.exchangeFinished();
    }
    if (this.#clientGone) return;
    const response = this.#response;
    if (information !== null) this.#inform(information);
    if (head !== null) {
      response.sendDate = false;
      if (this.#exchange.context.draining) response.shouldKeepAlive = false;
      response.writeHead(head.status, head.reason, head.headers);
      if (bytes.length === 0 && end === null) response.flushHeaders();
    }
    let released = 0;
    for (const piece of bytes) released += piece.length;
    this.#exchange.releasedBytes += released;
    if (end === 'whole') {
      if (trailers !== null && response.chunkedEncoding) response.addTrailers(pairs(trailers) as never);
      const only = bytes.length === 1 ? (bytes[0] as Buffer) : null;
      // As a string node sends it in one write with the head; latin1 stands for the same bytes.
      if (only !== null && only.length <= JOINED_BYTES) response.end(only.toString('latin1'), 'latin1');
      else {
        for (const piece of bytes) response.write(piece);
        response.end();
      }
      return;
    }
    for (const piece of bytes) response.write(piece);
    if (end === 'cut') this.#breakOff();
    else this.#let(released);
  }

  /** What came before the break still reaches the client; the missing end tells it that something is missing. */
  #breakOff(): void {
    this.#clientGone = true;
    const response = this.#response;
    const close = (): void => {
      // A body that ends with its connection has no other sign of a break than a reset.
      const hasLength = this.#head !== null && headerOf(this.#head.headers, 'content-length') !== null;
      if (response.chunkedEncoding || hasLength) response.destroy();
      else response.socket?.resetAndDestroy();
    };
    if (response.writableLength === 0) close();
    else response.write('', close);
  }

  #inform(head: Head): void {
    const response = this.#response;
    if (response.headersSent || response.req.httpVersion === '1.0') return;
    response.writeInformation(head.status, head.headers as never);
  }

  /** Lines are lost, or not in the store: what waited for them must not pass. @param hasEnd the end of the exchange is on disk all the same */
  lost(hasEnd: boolean): void {
    if (hasEnd) {
      this.#endRecorded = true;
      this.#owner.exchangeFinished();
    }
    if (!this.#clientGone) this.#exchange.context.metrics.denied('not_durable');
    this.#clientGone = true;
    this.#stopped ??= 'cut';
    this.#call?.abort();
    this.#body?.close();
    this.#askEnd();
    this.#response.destroy();
  }

  #hold(bytes: number): void {
    this.#heldBytes += bytes;
    if (!this.#paused && this.#heldBytes > PAUSE_BYTES) {
      this.#paused = true;
      this.#call?.pause();
    }
  }

  /** Bytes were written to the client's socket: they are let go of when it has taken them. */
  #let(bytes: number): void {
    if (this.#undrained !== null) this.#undrained += bytes;
    else if (!this.#response.writableNeedDrain) this.#drained(bytes);
    else {
      this.#undrained = bytes;
      this.#response.once('drain', () => {
        const all = this.#undrained ?? 0;
        this.#undrained = null;
        this.#drained(all);
      });
    }
  }

  #drained(bytes: number): void {
    this.#heldBytes -= bytes;
    if (this.#paused && this.#heldBytes <= PAUSE_BYTES / 2) {
      this.#paused = false;
      this.#call?.resume();
    }
  }
}

/** The recorder's own words in the server's place. */
interface RecorderAnswer extends DenialAnswer {
  retryAfterSeconds?: number | undefined;
  how: EndHow;
  /** The disk is enough for them. */
  closing: boolean;
  abandon?: (error: SpoolError) => void;
}

const NO_TRAILERS: RecordedHeader[] = [];
const NO_BODY: Body = { body: null, body_encoding: null, wire_bytes: 0 };

function flushLater(recorder: ResponseRecorder): void {
  recorder.flush();
}

function pairs(flat: readonly string[]): [string, string][] {
  const list: [string, string][] = [];
  for (let i = 0; i < flat.length; i += 2) list.push([flat[i] as string, flat[i + 1] as string]);
  return list;
}
