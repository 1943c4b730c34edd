/**
 * Owns the way of one response: recorded piece by piece, and released to the client as each piece becomes durable.
 * Invariant: no byte is handed to the client's socket before the lines that hold it are on disk, and bytes leave in the
 * order they came; when that can't be kept, the client's connection is cut, never falsified.
 */
import type { ServerResponse } from 'node:http';
import type { Body, EndHow, Masked, RecordedHeader } from '@mcp-recorder/recording/format/line';
import type { DenialAnswer } from '../exchange/denial.ts';
import { recordedHeaders } from '../exchange/headers.ts';
import { Tally } from '../exchange/masking/tally.ts';
import { REFUSALS, type RefusalReason, refusalBody } from '../exchange/refusals.ts';
import type { LineTail, SpoolError } from '../spool/spool.ts';
import { Backpressure } from './backpressure.ts';
import { BodyLines } from './body-lines.ts';
import type { Exchange } from './exchange.ts';
import { headerOf } from './headers.ts';
import { BodyRecorder, INLINE_BYTES, isInlineable, type ResponseBody } from './response-body.ts';
import { encodeResponse, type Head, passedFields, passedHead, type RecordedHead } from './response-head.ts';
import { type Treatment, treatmentOf } from './treatment.ts';
import { UnitBody } from './unit-body.ts';
import { recordOwnBody, takeWholeBody, type WholeBody } from './whole-body.ts';
import type { UpstreamCall, UpstreamFailure, UpstreamHandler, UpstreamRequest } from './upstream.ts';

/** What is let go when the lines that were appended with it are durable. */
interface Release {
  information: Head | null;
  head: Head | null;
  bytes: Buffer[];
  /** How many of the server's bytes are done with thereby: as many, unless they were altered. */
  doneBytes: number;
  trailers: string[] | null;
  /** How the response to the client ends with this release, if it does. */
  end: 'whole' | 'cut' | null;
}

/** Whole bodies up to this size are handed to the socket together with the head (bytes). */
const JOINED_BYTES = 16 * 1024;

/** The recorder's own words in the server's place. */
interface RecorderAnswer extends DenialAnswer {
  retryAfterSeconds?: number | undefined;
  how: EndHow;
  /** The disk is enough for them. */
  closing: boolean;
  abandon?: (error: SpoolError) => void;
}

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
  /** Null when the response passes, and is recorded, as it comes. */
  #treatment: Treatment | null = null;
  /** What of the head passes. */
  #passed: Head | null = null;
  #body: ResponseBody | null = null;
  /** Body bytes as received since the last flush. */
  #arrived: Buffer[] = [];
  #arrivedBytes = 0;
  #upstreamEnded: EndHow | null = null;
  #trailers: string[] = [];
  #flushQueued = false;
  #flushing = false;
  readonly #backpressure: Backpressure;
  /** The client is gone or cut off: nothing more is released. */
  #clientGone = false;

  constructor(exchange: Exchange, response: ServerResponse, owner: ExchangeOwner) {
    this.#exchange = exchange;
    this.#response = response;
    this.#backpressure = new Backpressure(response);
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
    return this.streams && !answersCalls && this.#backpressure.heldBytes === 0;
  }

  onInformation(status: number, reason: string, headers: string[]): void {
    const { wire } = this.#exchange.policy.masking;
    const { fields, masked } = passedFields(headers, wire, false);
    this.#append([this.#responseTail(status, headers, { ...NO_BODY, ...wireMasked(masked) })], {
      information: { status, reason, headers: fields },
      head: null,
      bytes: [],
      doneBytes: 0,
      trailers: null,
      end: null,
    });
  }

  onHead(status: number, reason: string, headers: string[]): void {
    this.#head = { status, reason, headers };
    if (status === 401) this.#exchange.policy.credential?.refused();
    this.#owner.answered();
    const sessionId = headerOf(headers, 'mcp-session-id');
    if (sessionId !== null) this.#exchange.nameSession({ mcpSessionId: sessionId });
    this.#queueFlush();
  }

  onBody(bytes: Buffer): void {
    this.#arrived.push(bytes);
    this.#arrivedBytes += bytes.length;
    this.#backpressure.hold(bytes.length);
    this.#weigh();
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
    else this.#takeLines(tails, { status, headers }, recordOwnBody(exchange, bytes), bytes.length);
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
    const release: Release = {
      information: null,
      head,
      bytes: sent,
      doneBytes: 0,
      trailers: null,
      end: 'whole',
    };
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
    // What became ready within a flush is taken by it.
    if (this.#flushing) return;
    this.#flushing = true;
    this.#flushOnce();
    this.#flushing = false;
  }

  #flushOnce(): void {
    const exchange = this.#exchange;
    if (exchange.ended || this.#clientGone || this.#head === null) return;
    const tails: LineTail[] = [];
    const release: Release = {
      information: null,
      head: null,
      bytes: [],
      doneBytes: 0,
      trailers: null,
      end: null,
    };
    const head = this.#head;
    const arrived = this.#arrived;
    if (arrived.length > 0) this.#arrived = [];
    if (!this.#headRecorded) {
      this.#headRecorded = true;
      this.#treatment = treatmentOf(exchange);
      if (
        this.#upstreamEnded === 'complete' &&
        this.#arrivedBytes <= INLINE_BYTES &&
        isInlineable(head.headers) &&
        this.#takeWhole(
          arrived.length === 1 ? (arrived[0] as Buffer) : Buffer.concat(arrived),
          tails,
          release,
        )
      ) {
        return;
      }
      this.#takeHead(head, tails, release);
      this.#body =
        this.#treatment === null
          ? new BodyRecorder(exchange, head.headers, () => this.flush())
          : new UnitBody(exchange, this.#treatment, head, () => this.flush());
    }
    const body = this.#body as ResponseBody;
    for (const bytes of arrived) body.push(bytes);
    if (this.#upstreamEnded !== null) body.end(this.#upstreamEnded === 'complete');
    release.doneBytes = body.take(tails, release.bytes);
    if (body.broken) this.#giveUp();
    if (this.#upstreamEnded !== null && (body.done || body.broken)) {
      this.#finish(tails, release, head.status, body.tooLarge);
      body.close();
      return;
    }
    for (const bytes of release.bytes) exchange.offeredBytes += bytes.length;
    if (tails.length > 0 || release.bytes.length > 0) this.#append(tails, release);
    // Coded bytes that decode to nothing, of an answer that is sent on without its coding.
    else if (release.doneBytes > 0) this.#backpressure.let(release.doneBytes, () => this.#weigh());
    this.#weigh();
  }

  /** Records the head of a response whose content follows on other lines. */
  #takeHead(head: Head, tails: LineTail[], release: Release): void {
    const treatment = this.#treatment;
    const alters = treatment?.altersWire === true && head.status !== 304 && head.status !== 204;
    const passed = passedHead(head, this.#response.req, treatment?.wire ?? null, alters ? null : undefined);
    tails.push(this.#responseTail(head.status, head.headers, { ...NO_BODY, ...wireMasked(passed.masked) }));
    release.head = this.#passed = passed.head;
  }

  /** The whole response came at once: one line holds it. False when it takes more. */
  #takeWhole(bytes: Buffer, tails: LineTail[], release: Release): boolean {
    const exchange = this.#exchange;
    const head = this.#head as Head;
    const whole = takeWholeBody(exchange, this.#treatment, head, bytes);
    if (whole === null) return false;
    const request = this.#response.req;
    const { wire = null, altersWire = false } = this.#treatment ?? {};
    let length: number | null | undefined;
    if (whole.isAltered) length = whole.passes.length;
    else if (altersWire && request.method === 'HEAD') length = null;
    const passed = passedHead(head, request, wire, length);
    const masked = new Tally();
    masked.add(passed.masked);
    masked.add(whole.columns.wire_masked);
    const columns = { ...whole.columns, ...wireMasked(masked.counts) };
    this.#takeLines(tails, head, { ...whole, columns }, bytes.length);
    exchange.takeResults(tails);
    release.doneBytes = bytes.length;
    release.head = this.#passed = passed.head;
    if (whole.broken) this.#giveUp();
    else if (whole.passes.length > 0) release.bytes.push(whole.passes);
    this.#finish(tails, release, head.status, whole.tooLarge);
    return true;
  }

  /** The lines of a head and all of its body. */
  #takeLines(
    tails: LineTail[],
    { status, headers }: RecordedHead,
    { columns, rest }: Pick<WholeBody, 'columns' | 'rest'>,
    bytes: number,
  ): void {
    tails.push(this.#responseTail(status, headers, columns));
    if (rest === null) return;
    const lines = new BodyLines(this.#exchange);
    lines.arrived(bytes);
    lines.chunks(rest.recorded, bytes, rest.notes);
    lines.take(tails);
  }

  /** What the server sends must not pass as it is, and can't be altered. */
  #giveUp(): void {
    const { context, id } = this.#exchange;
    this.#call?.abort();
    if (this.#upstreamEnded === null || this.#upstreamEnded === 'complete') this.#upstreamEnded = 'cut';
    context.metrics.denied('not_masked');
    context.warn(
      'an answer was cut, because what a rule takes out of it on the wire could not be found for sure',
      {
        exchange: id,
        hint: 'answers that are longer than 4 MiB, slower than 5 s, or not readable in one way only do not pass where they would have to be altered',
      },
    );
  }

  /** Appends the last lines of the exchange and what is released with them. */
  #finish(tails: LineTail[], release: Release, status: number, tooLarge: boolean): void {
    const exchange = this.#exchange;
    const how = this.#upstreamEnded as EndHow;
    const trailers = this.#trailers;
    for (const bytes of release.bytes) exchange.offeredBytes += bytes.length;
    release.end = how === 'complete' ? 'whole' : 'cut';
    if (trailers.length > 0) {
      const { wire = null, altersWire = false } = this.#treatment ?? {};
      release.trailers = passedFields(trailers, wire, altersWire).fields;
    }
    exchange.takeEnd(tails, {
      how,
      status,
      answeredBy: 'server',
      tooLarge,
      trailers:
        trailers.length === 0
          ? NO_TRAILERS
          : recordedHeaders(trailers, exchange.context.sessions.hash, exchange.masker),
      released: exchange.offeredBytes,
    });
    this.#append(tails, release);
  }

  #responseTail(status: number, headers: readonly string[], body: Body): LineTail {
    return encodeResponse(this.#exchange, { status, headers }, this.#answeredBy, body);
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
    else this.#backpressure.let(release.doneBytes, () => this.#weigh());
  }

  /** What came before the break still reaches the client; the missing end tells it that something is missing. */
  #breakOff(): void {
    this.#clientGone = true;
    const response = this.#response;
    const close = (): void => {
      // A body that ends with its connection has no other sign of a break than a reset.
      const hasLength = this.#passed !== null && headerOf(this.#passed.headers, 'content-length') !== null;
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

  /** What waits for more of the server's own bytes is no reason to make it wait. */
  #weigh(): void {
    this.#backpressure.weigh(this.#call, this.#body?.waiting ?? 0);
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
}

const NO_TRAILERS: RecordedHeader[] = [];
const NO_BODY: Body = { body: null, body_encoding: null, wire_bytes: 0 };

function wireMasked(masked: Masked[] | undefined): Pick<Body, 'wire_masked'> {
  return masked === undefined ? {} : { wire_masked: masked };
}

function flushLater(recorder: ResponseRecorder): void {
  recorder.flush();
}

function pairs(flat: readonly string[]): [string, string][] {
  const list: [string, string][] = [];
  for (let i = 0; i < flat.length; i += 2) list.push([flat[i] as string, flat[i + 1] as string]);
  return list;
}
