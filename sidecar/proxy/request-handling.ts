/**
 * Owns the way of one request: checked and authenticated on its head, read whole, classified, decided about, recorded, and only then forwarded.
 * Invariant: not a byte of the body is read before the caller is known; not a byte goes to the server before the request was decided about and
 * its lines are on disk; what is refused before is counted.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { CredentialAnswer } from '../credential/credential.ts';
import { decodeBodyText } from '../exchange/body-text.ts';
import type { Caller } from '../exchange/caller.ts';
import { type Classification, classifyRequest, requestIds } from '../exchange/classify.ts';
import type { RefusalReason } from '../exchange/refusals.ts';
import type { RuleRequest } from '../exchange/rules/rules.ts';
import { sessionSpelling } from '../exchange/session-spelling.ts';
import { type GateCause, isShared } from '../gate.ts';
import type { Identified } from '../identity/identity.ts';
import type { Policy } from '../policy.ts';
import type { LineTail, SpoolError } from '../spool/spool.ts';
import { type Coding, decodeWhole, readCoding } from './content-coding.ts';
import type { ProxyContext } from './context.ts';
import { Exchange } from './exchange.ts';
import { type ForwardedRequest, forwardedRequest, type WholeRequest } from './forwarded-request.ts';
import { headerOf } from './headers.ts';
import { type Judgement, judge, UNJUDGED } from './judge.ts';
import { answer, countRefusal, refuse, type RefusalDetail } from './refuse.ts';
import { type BodyOutcome, readBody } from './request-body.ts';
import { refusedByHeaders, sessionIdsOfRequest, wholeHeader } from './request-head.ts';
import { addressOf, describeRequest, recordRequest, showBody } from './request-record.ts';
import { ResponseRecorder } from './response.ts';

type Passed = Extract<Classification, { verdict: 'pass' }>;
type Decided = Extract<Judgement, { verdict: 'decided' }>;

/** A request about which all is decided. */
interface Checked {
  whole: WholeRequest;
  classification: Passed;
  ruleRequest: RuleRequest | null;
  decided: Decided;
}

/** A request from its headers on, until its response is closed and its exchange, if there is one, has a recorded end. */
export class RequestHandling {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Null until the exchange began. */
  recorder: ResponseRecorder | null = null;
  /** The place that the listener keeps it in. */
  index = -1;
  readonly #context: ProxyContext;
  /** As it was when the head came: what decides about a request does not change on its way. */
  readonly #policy: Policy;
  readonly #over: (handling: RequestHandling) => void;
  /** What is open: the response, the exchange. */
  #open = 1;
  /** Bytes taken from the memory budget. */
  #taken = 0;
  #exchangeOver = false;
  /** The most that its body may have. */
  readonly #maxBytes: number;
  #coding: Coding | null = null;
  /** Null until it is known who calls. */
  #caller: Caller | null = null;

  /** @param over called once, when nothing of it is left to wait for */
  constructor(
    context: ProxyContext,
    request: IncomingMessage,
    response: ServerResponse,
    over: (handling: RequestHandling) => void,
  ) {
    this.#context = context;
    this.#policy = context.policy;
    this.#maxBytes = context.maxRequestBytes;
    this.request = request;
    this.response = response;
    this.#over = over;
    response.on('error', destroyItself);
    response.once('close', () => this.#responseClosed());
  }

  /** @param expectsContinue the client waits for 100-continue before it sends its body */
  start(expectsContinue: boolean): void {
    const { method, url, rawHeaders } = this.request;
    const problem = refusedByHeaders(this.request);
    if (problem !== null) return this.#deny(problem.reason, { message: problem.message });
    const head = { method: method as string, target: url as string, rawHeaders };
    const identified = this.#policy.identity.identify(head);
    if (identified instanceof Promise) void this.#identifyLater(identified, expectsContinue);
    else this.#identified(identified, expectsContinue);
  }

  async #identifyLater(later: Promise<Identified>, expectsContinue: boolean): Promise<void> {
    const identified = await later;
    // Meanwhile the client may have gone, or sent what is no HTTP and been refused for that.
    if (!this.response.headersSent && !this.#isGone()) this.#identified(identified, expectsContinue);
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
    const refused = { policy: this.#policy, caller: this.#caller };
    refuse(this.#context, this.request, this.response, reason, detail, refused);
  }

  /** The client went away: there is nobody to answer, and nothing was passed on. */
  #countGone(): void {
    const refused = { policy: this.#policy, caller: this.#caller };
    countRefusal(this.#context, 'client_closed', addressOf(this.request), refused);
  }

  #isGone(): boolean {
    const gone = this.response.closed || this.response.destroyed;
    if (gone) this.#countGone();
    return gone;
  }

  #identified(identified: Identified, expectsContinue: boolean): void {
    if (identified.verdict === 'answer') {
      return answer(this.#context, this.request, this.response, identified);
    }
    this.#caller = identified.caller;
    if (identified.verdict === 'pass') return this.#admit(identified.caller, expectsContinue);
    const { reason, message, headers, body } = identified;
    this.#deny(reason, { message, headers, body });
  }

  /** Lets the body of a known caller come, if anything may come at all. */
  #admit(caller: Caller, expectsContinue: boolean): void {
    const { request, response } = this;
    const { gate, budget, bindings, sessions } = this.#context;
    if (caller.verified) {
      for (const id of sessionIdsOfRequest(request)) {
        const spelling = sessionSpelling(id);
        if (spelling === null || !bindings.admits(sessions.hash(spelling), caller)) {
          return this.#deny('foreign_session');
        }
      }
    }
    // Only now: whoever may not call is told that, and nothing of the state that the recorder is in.
    if (gate.current.state === 'Closed') return this.#deny('gate_closed', closedDetail(gate.current.cause));
    const coding = readCoding(request.headers['content-encoding'] ?? null);
    if (coding === 'unknown') return this.#deny('unsupported_coding');
    this.#coding = coding;
    if (expectsContinue && Number(request.headers['content-length'] ?? 0) <= this.#maxBytes) {
      response.writeContinue();
    }
    readBody(request, this.#maxBytes, budget, (read) => this.#bodyRead(read, caller));
  }

  #bodyRead(read: BodyOutcome, caller: Caller): void {
    const { budget } = this.#context;
    if (read.outcome === 'client_closed') {
      // A body that broke in the middle has been refused by now.
      if (!this.response.headersSent) this.#countGone();
      return;
    }
    if (read.outcome !== 'read') return this.#deny(read.outcome);
    const { bytes } = read;
    if (bytes === null) return this.#classify(null, null, caller);
    if (this.#isGone()) return budget.give(bytes.length);
    this.#taken += bytes.length;
    if (this.#coding === null || bytes.length === 0) return this.#classify(bytes, bytes, caller);
    // What it decodes to is known only afterwards.
    const reserved = this.#maxBytes - bytes.length;
    if (!budget.take(reserved)) return this.#deny('memory');
    decodeWhole(bytes, this.#coding, this.#maxBytes, (result) => {
      budget.give(reserved);
      if (this.#isGone()) return;
      if ('failure' in result) return this.#deny(result.failure);
      if (!this.#take(result.decoded.length)) return this.#deny('memory');
      this.#classify(result.decoded, bytes, caller);
    });
  }

  #take(bytes: number): boolean {
    if (!this.#context.budget.take(bytes)) return false;
    this.#taken += bytes;
    return true;
  }

  /** @param encoded the body as it came */
  #classify(decoded: Buffer | null, encoded: Buffer | null, caller: Caller): void {
    const { request } = this;
    const readText = decoded === null ? null : decodeBodyText(decoded);
    const text = readText?.ok ? readText.text : null;
    const classification = classifyRequest({
      method: request.method as string,
      contentType: decoded === null ? null : (request.headers['content-type'] ?? null),
      hasBody: decoded !== null && decoded.length > 0,
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
    const whole: WholeRequest = { request, encoded, decoded, text, messages: classification.messages };
    const { rules, credential } = this.#policy;
    const ruleRequest = rules === null ? null : this.#ruleRequest(caller, classification);
    const judged =
      rules === null || ruleRequest === null
        ? UNJUDGED
        : judge(rules, ruleRequest, classification, text, this.#context.metrics);
    if (judged.verdict === 'refuse') {
      return this.#deny(judged.reason, { ...namesOf(classification), message: judged.message });
    }
    const checked: Checked = { whole, classification, ruleRequest, decided: judged };
    if (judged.denial !== null || credential === null) return this.#begin(checked, null, caller);
    const answered = credential.current();
    if (answered instanceof Promise) void this.#awaitCredential(checked, answered, caller);
    else this.#withCredential(checked, answered, caller);
  }

  async #awaitCredential(checked: Checked, later: Promise<CredentialAnswer>, caller: Caller): Promise<void> {
    const answered = await later;
    if (!this.#isGone()) this.#withCredential(checked, answered, caller);
  }

  #ruleRequest(caller: Caller, { messages }: Passed): RuleRequest {
    const { request } = this;
    const [sessionId] = sessionIdsOfRequest(request);
    const protocol = headerOf(request.rawHeaders, 'mcp-protocol-version') ?? messages[0]?.protocolVersion;
    return {
      caller,
      clientAddress: addressOf(request),
      method: request.method as string,
      target: request.url as string,
      rawHeaders: request.rawHeaders,
      session: sessionId === undefined ? null : this.#context.sessions.hash(sessionId),
      protocol: protocol ?? null,
    };
  }

  #withCredential(checked: Checked, answered: CredentialAnswer, caller: Caller): void {
    if (answered.ok) this.#begin(checked, answered, caller);
    // Why not is for who runs the recorder (status, log), not for its clients.
    else this.#deny('credential_unavailable', namesOf(checked.classification));
  }

  #begin(checked: Checked, credential: { name: string; value: string } | null, caller: Caller): void {
    const { whole, classification, ruleRequest, decided } = checked;
    const { state, cause } = this.#context.gate.current;
    if (state === 'Closed') {
      // Since its headers came.
      return this.#deny('gate_closed', { ...namesOf(classification), ...closedDetail(cause) });
    }
    const { denial, decisions, metadataOnly } = decided;
    const listsTools = classification.messages.some(({ method }) => method === 'tools/list');
    let forwarded: ForwardedRequest | null = null;
    if (denial === null) {
      const { rules, masking } = this.#policy;
      // What answers no call of its own may bring the answer to one of another exchange.
      const mayTellTools = listsTools || !classification.messages.some(({ kind }) => kind === 'request');
      const altersAnswer = masking.wire !== null || (mayTellTools && rules?.hidesTools === true);
      forwarded = forwardedRequest(whole, this.#policy, credential, altersAnswer);
      if (forwarded === null) return this.#deny('not_masked', namesOf(classification));
      const isCopy = forwarded.body !== whole.encoded;
      if (isCopy && !this.#take(forwarded.body?.length ?? 0)) return this.#deny('memory');
    }
    const exchange = new Exchange(this.#context, this.#policy, caller);
    if (state === 'FailOpen') exchange.goUnrecorded(cause.reason);
    exchange.ruleRequest = ruleRequest;
    exchange.decisions = decisions;
    exchange.isDenied = denial !== null;
    exchange.metadataOnly = metadataOnly;
    exchange.listsTools = listsTools;
    const shown = showBody(exchange, whole);
    describeRequest(exchange, this.request, classification, shown);
    const tails: LineTail[] = [];
    recordRequest(exchange, whole, classification, shown, forwarded?.masked, tails);
    const recorder = new ResponseRecorder(exchange, this.response, this);
    this.recorder = recorder;
    this.#open++;
    if (denial !== null) {
      this.#context.metrics.denied('denied_by_rule');
      return recorder.answerDenied(tails, denial, (error) => this.#abandon(exchange, error));
    }
    const request = forwarded as ForwardedRequest;
    for (const { rule, count } of request.masked ?? []) this.#context.metrics.masked(rule, count);
    exchange.append(tails, (error) => {
      if (error === null) recorder.forward(request);
      else this.#abandon(exchange, error);
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

/** The ids of its requests, for a refusal. */
function namesOf({ messages, batch }: Passed): RefusalDetail {
  return { rpcIds: requestIds(messages), batch };
}

/** Why nothing passes, for the client; the hint in the table is for it, this one for who runs the recorder. */
function closedDetail({ reason, message }: GateCause): RefusalDetail {
  return { message, data: { gate: reason } };
}

function destroyItself(this: ServerResponse): void {
  this.destroy();
}
