/**
 * Owns the way of one request: checked on its headers, read whole, classified, recorded, and only then forwarded.
 * Invariant: not a byte goes to the server before the request's lines are on disk; what is refused before is counted.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { decodeBodyText } from '../exchange/body-text.ts';
import { classifyRequest, requestIds } from '../exchange/classify.ts';
import { endToEndHeaders } from '../exchange/headers.ts';
import type { RefusalReason } from '../exchange/refusals.ts';
import { type GateCause, isShared } from '../gate.ts';
import type { LineTail, SpoolError } from '../spool/spool.ts';
import { type Coding, decodeWhole, readCoding } from './content-coding.ts';
import type { ProxyContext } from './context.ts';
import { Exchange } from './exchange.ts';
import { refuse, type RefusalDetail } from './refuse.ts';
import { type BodyOutcome, readBody } from './request-body.ts';
import { addressOf, describeRequest, recordRequest } from './request-record.ts';
import { ResponseRecorder } from './response.ts';

/** A request from its headers on, until its response is closed and its exchange, if there is one, has a recorded end. */
export class RequestHandling {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Null until the exchange began. */
  recorder: ResponseRecorder | null = null;
  /** The place that the listener keeps it in. */
  index = -1;
  readonly #context: ProxyContext;
  readonly #over: (handling: RequestHandling) => void;
  /** What is open: the response, the exchange. */
  #open = 1;
  /** Bytes taken from the memory budget. */
  #taken = 0;
  #exchangeOver = false;
  /** The most that its body may have. */
  readonly #maxBytes: number;
  #coding: Coding | null = null;

  /** @param over called once, when nothing of it is left to wait for */
  constructor(
    context: ProxyContext,
    request: IncomingMessage,
    response: ServerResponse,
    over: (handling: RequestHandling) => void,
  ) {
    this.#context = context;
    this.#maxBytes = context.maxRequestBytes;
    this.request = request;
    this.response = response;
    this.#over = over;
    response.on('error', destroyItself);
    response.once('close', () => this.#responseClosed());
  }

  /** @param expectsContinue the client waits for 100-continue before it sends its body */
  start(expectsContinue: boolean): void {
    const { request, response } = this;
    const { gate, budget } = this.#context;
    const problem = refusedByHeaders(request);
    if (problem !== null) return this.#deny(problem.reason, { message: problem.message });
    if (gate.current.state === 'Closed') return this.#deny('gate_closed', closedDetail(gate.current.cause));
    const coding = readCoding(request.headers['content-encoding'] ?? null);
    if (coding === 'unknown') return this.#deny('unsupported_coding');
    this.#coding = coding;
    if (expectsContinue && Number(request.headers['content-length'] ?? 0) <= this.#maxBytes) {
      response.writeContinue();
    }
    readBody(request, this.#maxBytes, budget, (read) => this.#bodyRead(read));
  }

  /** The end of the exchange is on disk, or can't be brought there. */
  exchangeFinished(): void {
    if (this.#exchangeOver) return;
    this.#exchangeOver = true;
    this.#oneEnded();
  }

  /** The body is not needed any more: a stream that goes on for hours must not keep its share of the memory. */
  answered(): void {
    this.#context.budget.give(this.#taken);
    this.#taken = 0;
  }

  #oneEnded(): void {
    this.#open--;
    if (this.#open === 0) this.#over(this);
  }

  #responseClosed(): void {
    this.answered();
    this.recorder?.clientClosed();
    this.#oneEnded();
  }

  #deny(reason: RefusalReason, detail?: RefusalDetail): void {
    refuse(this.#context, this.request, this.response, reason, detail);
  }

  /** The client went away: there is nobody to answer, and nothing was passed on. */
  #countGone(): void {
    this.#context.denials.count('client_closed', addressOf(this.request), null);
  }

  #isGone(): boolean {
    const gone = this.response.closed || this.response.destroyed;
    if (gone) this.#countGone();
    return gone;
  }

  #bodyRead(read: BodyOutcome): void {
    const { budget } = this.#context;
    if (read.outcome === 'client_closed') {
      // A body that broke in the middle has been refused by now.
      if (!this.response.headersSent) this.#countGone();
      return;
    }
    if (read.outcome !== 'read') return this.#deny(read.outcome);
    const { bytes } = read;
    if (bytes === null) return this.#classify(null, null);
    if (this.#isGone()) return budget.give(bytes.length);
    this.#taken += bytes.length;
    if (this.#coding === null || bytes.length === 0) return this.#classify(bytes, bytes);
    // What it decodes to is known only afterwards.
    const reserved = this.#maxBytes - bytes.length;
    if (!budget.take(reserved)) return this.#deny('memory');
    decodeWhole(bytes, this.#coding, this.#maxBytes, (result) => {
      budget.give(reserved);
      if (this.#isGone()) return;
      if ('failure' in result) return this.#deny(result.failure);
      if (!budget.take(result.decoded.length)) return this.#deny('memory');
      this.#taken += result.decoded.length;
      this.#classify(result.decoded, bytes);
    });
  }

  /** @param encoded the body as it came */
  #classify(decoded: Buffer | null, encoded: Buffer | null): void {
    const { request } = this;
    const readText = decoded === null ? null : decodeBodyText(decoded);
    const text = readText?.ok ? readText.text : null;
    const classification = classifyRequest({
      method: request.method as string,
      contentType: decoded === null ? null : (request.headers['content-type'] ?? null),
      text,
      headers: {
        mcpMethod: wholeHeader(request, 'mcp-method'),
        mcpName: wholeHeader(request, 'mcp-name'),
      },
    });
    if (classification.verdict === 'refuse') {
      const { reason, rpcIds, batch, message } = classification;
      return this.#deny(reason, { rpcIds, batch, message });
    }
    const { state, cause } = this.#context.gate.current;
    if (state === 'Closed') {
      // Since its headers came.
      const rpcIds = requestIds(classification.messages);
      return this.#deny('gate_closed', { rpcIds, batch: classification.batch, ...closedDetail(cause) });
    }
    const exchange = new Exchange(this.#context);
    if (state === 'FailOpen') exchange.goUnrecorded(cause.reason);
    describeRequest(exchange, request, classification);
    const tails: LineTail[] = [];
    recordRequest(exchange, request, decoded, encoded, text, classification, tails);
    this.recorder = new ResponseRecorder(exchange, this.response, this);
    this.#open++;
    exchange.append(tails, (error) => {
      if (error === null) this.#forward(encoded);
      else this.#abandon(exchange, error);
    });
  }

  #forward(body: Buffer | null): void {
    const { request } = this;
    this.recorder?.forward({
      method: request.method as string,
      target: request.url as string,
      headers: endToEndHeaders(request.rawHeaders, 'request'),
      body,
    });
  }

  #abandon(exchange: Exchange, error: SpoolError): void {
    const { rpcIds, batch } = exchange;
    const { cause } = this.#context.gate.current;
    const lost = error.code === 'sync_failed' || cause === null;
    const reason = lost ? 'not_durable' : 'gate_closed';
    const detail: RefusalDetail = lost ? { message: error.message } : closedDetail(cause);
    if (error.durableLines > 0) {
      // It is an exchange on disk, and so must be what its client is told; where the disk itself fails, nothing is.
      const diskWorks =
        error.code === 'not_stored' && cause !== null && isShared(cause) && !this.response.destroyed;
      if (diskWorks) this.recorder?.refuse(reason, { detail: detail.message, ...detail.data });
      else this.recorder?.lost(false);
      return;
    }
    exchange.forget();
    this.exchangeFinished();
    this.#deny(reason, { rpcIds, batch, ...detail });
  }
}

/** Why nothing passes, for the client; the hint in the table is for it, this one for who runs the recorder. */
function closedDetail({ reason, message }: GateCause): RefusalDetail {
  return { message, data: { gate: reason } };
}

function destroyItself(this: ServerResponse): void {
  this.destroy();
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
