/**
 * Owns what is known of one exchange (one HTTP request and its response) and the numbering of its lines.
 * Invariant: `part` counts every line of the exchange without a hole as far as they were recorded, and `end` is the last.
 */
import type {
  Call,
  ClientInfo,
  Decision,
  EndHow,
  Known,
  RecordedHeader,
  Sender,
  Session,
} from '@mcp-recorder/recording/format/line';
import { cutName } from '@mcp-recorder/recording/format/cut';
import { encodeEndTail, encodeResultTail } from '@mcp-recorder/recording/format/encode';
import type { Caller } from '../exchange/caller.ts';
import type { Message } from '../exchange/json-scan.ts';
import type { Masker } from '../exchange/masking/masking.ts';
import { maskedId, maskedName, recordedCaller } from '../exchange/masking/names.ts';
import { type OpenCall, outcomeOf, type SettledOperation } from '../exchange/operations.ts';
import type { RuleRequest } from '../exchange/rules/rules.ts';
import type { SessionFacts } from '../exchange/session.ts';
import { sessionSpelling } from '../exchange/session-spelling.ts';
import type { Policy } from '../policy.ts';
import type { Durable, LineTail, SpoolError } from '../spool/spool.ts';
import type { ProxyContext } from './context.ts';
import { areCrowded, encodeCrowdedCalls } from './crowded-calls.ts';

/** How an exchange ended. */
export interface Ending {
  how: EndHow;
  status: number | null;
  answeredBy: 'server' | 'recorder';
  /** The answer was too long to be read for messages. */
  tooLarge: boolean;
  trailers: RecordedHeader[];
  /** Bytes handed to the client's socket by the time the line is on disk, or right then. */
  released: number;
}

const NO_FACTS: SessionFacts = {
  mcpSessionId: null,
  sseSessionId: null,
  traceparent: null,
  clientInfo: null,
  principalKey: '',
  clientAddress: '',
};
const ALLOWED = { action: 'allow', rule: null } as const;
const NO_CALLS: Call[] = [];
const NO_RESULTS: readonly never[] = [];

/** What a `result` line says; nulls where the call is not known to this process. */
type Result = Omit<
  SettledOperation,
  'operation' | 'callExchange' | 'method' | 'durationUs' | 'metadataOnly' | 'listsTools'
> & {
  operation: string | null;
  callExchange: string | null;
  method: string | null;
  durationUs: number | null;
};

export class Exchange {
  readonly context: ProxyContext;
  readonly id: string;
  readonly startedUs: number;
  /** What the request is judged by, to the end of the exchange. */
  readonly policy: Policy;
  readonly caller: Caller;
  /** Masks what is recorded; null where nothing is masked. */
  readonly masker: Masker | null;
  /** The caller as it is recorded, as JSON text. */
  readonly principalJson: string;
  session: Session | null = null;
  protocol: string | null = null;
  /** The same, and what the client says of itself, as they are recorded. */
  shownProtocol: string | null = null;
  clientInfo: ClientInfo | null = null;
  /** JSON texts of the ids of the client's requests, for errors of the recorder's own. */
  rpcIds: string[] = [];
  batch = false;
  bytesIn = 0;
  /** Content bytes from the server on the lines made so far. */
  bytesOut = 0;
  /** Of these, what goes to the client once the lines appended so far are on disk. */
  offeredBytes = 0;
  /** Bytes handed to the client's socket. */
  releasedBytes = 0;
  ended = false;
  /** Calls that began here and have no result; kept by the operation table. */
  readonly open: OpenCall[] = [];
  /** What the rules were asked about the request; null where there are none. */
  ruleRequest: RuleRequest | null = null;
  /** What was decided about each of its messages, or about itself where it has none; null without rules. */
  decisions: readonly Decision[] | null = null;
  /** Nothing of it goes to the server: what it answers stays unanswered. */
  isDenied = false;
  /** No body of it is recorded. */
  metadataOnly = false;
  /** The answer may be a list of tools. */
  listsTools = false;
  /** The request names its session by an id, so that its answer opens none. */
  sentSessionId = false;
  /** The request asks the server to end its session. */
  deletesSession = false;
  /** The response may be an HTTP+SSE stream, whose first event tells the client its session id. */
  mayOpenSession = false;
  #parts = 0;
  #durableParts = 0;
  #durableBytesOut = 0;
  #calls = 0;
  #settled: Result[] = [];
  /** Results on lines that were made since the last append. */
  #taken: Result[] = [];
  #unanswered = 0;
  #told = false;
  #toldSession: Session | null = null;
  #whenAnswered: (() => void) | null = null;
  /** It met a gap: nothing more of it is recorded. */
  #unrecorded = false;
  #leftGap = false;
  /** Calls that have no room on the line of their body. */
  #crowded: { sender: Sender; calls: Call[] }[] = [];
  #answersWithheld = false;
  #answersTools = false;
  /** What its session is bound to its caller by; null where it is not named by an id. */
  #boundAs: string | null = null;

  /** @param policy the one that was in force when the head came */
  constructor(context: ProxyContext, policy: Policy, caller: Caller) {
    this.context = context;
    this.policy = policy;
    this.caller = caller;
    this.id = context.newId();
    this.startedUs = context.clock.monotonicUs();
    this.masker = policy.masking.record;
    this.principalJson =
      this.masker === null ? caller.principalJson : recordedCaller(this.masker, caller).principalJson;
  }

  /** The number of the next line. */
  nextPart(): number {
    return this.#parts++;
  }

  /** Whose open requests an answer in this exchange may settle. */
  get sessionKey(): string {
    return this.session === null ? this.id : `${this.caller.key} ${this.session.id}`;
  }

  /** What has become known since the last line that said it, for the line that is made now. */
  known(): Known {
    if (this.#told && this.#toldSession === this.session) return NOTHING_NEW;
    const known: Known = {};
    if (this.session !== null && this.#toldSession !== this.session) known.session = this.session;
    this.#toldSession = this.session;
    if (!this.#told) {
      if (this.shownProtocol !== null) known.protocol = this.shownProtocol;
      if (this.clientInfo !== null) known.client_info = this.clientInfo;
    }
    this.#told = true;
    return known;
  }

  /**
   * Takes note of messages that became complete on a line: begins operations, settles those that were answered.
   * @param shown the same messages as read from the masked text, which say how ids, methods and targets are recorded: `messages` itself when
   *   nothing was masked in it; without it each is masked by itself
   * @returns the `calls` of that line; the results, and calls that have no room on it, are kept for `takeResults`
   */
  takeMessages(messages: readonly Message[], sender: Sender, shown?: readonly Message[]): Call[] {
    this.#answersWithheld = false;
    this.#answersTools = false;
    if (messages.length === 0) return NO_CALLS;
    const { operations } = this.context;
    const calls: Call[] = [];
    for (let index = 0; index < messages.length; index++) {
      const message = messages[index] as Message;
      const named = this.#shownNames(message, messages, shown, index);
      if (message.kind === 'response') {
        if (this.isDenied) continue;
        const settled = operations.settle({
          siblings: this.open,
          sender,
          sessionKey: this.sessionKey,
          message,
        });
        if (settled !== null) {
          this.#answersWithheld ||= settled.metadataOnly;
          this.#answersTools ||= settled.listsTools;
          const { errorCode } = named;
          this.#settled.push(errorCode === settled.errorCode ? settled : { ...settled, errorCode });
        } else if (message.rpcId !== null) {
          // A stream that is resumed brings again what was answered before, and a call may have gone through another pod.
          this.#answersTools = true;
          this.#answersWithheld ||= this.policy.rules?.metadataOnly === true;
          this.#settled.push({
            operation: null,
            callExchange: null,
            rpcId: named.rpcId ?? message.rpcId,
            principalJson: this.principalJson,
            session: this.session,
            method: null,
            target: null,
            sender: sender === 'client' ? 'server' : 'client',
            outcome: outcomeOf(message),
            cause: null,
            errorCode: named.errorCode,
            durationUs: null,
          });
        }
        continue;
      }
      if (message.kind === 'other' || message.method === null) continue;
      const operation = `${this.id}.${this.#calls++}`;
      let continues: string | null = null;
      if (message.kind === 'request') {
        const rpcId = message.rpcId ?? 'null';
        const decided = sender === 'client' ? this.decisions?.[index] : undefined;
        continues = operations.begin({
          operation,
          exchange: this.id,
          siblings: this.open,
          sender,
          rpcId,
          shownId: named.rpcId ?? 'null',
          method: named.method ?? message.method,
          target: named.target,
          listsTools: message.method === 'tools/list',
          metadataOnly: decided === undefined ? this.metadataOnly : decided.action === 'metadata_only',
          sessionKey: this.sessionKey,
          session: this.session,
          principalJson: this.principalJson,
          principalKey: this.caller.key,
          requestState: message.requestState,
          taskId: message.taskId,
        });
        if (sender === 'client') this.rpcIds.push(rpcId);
      } else if (message.cancelledRequestId !== null && !this.isDenied) {
        operations.cancelRequested(this.sessionKey, message.cancelledRequestId, sender);
      }
      const call: Call = {
        operation,
        kind: message.kind,
        sender,
        rpc_id: named.rpcId === null ? null : cutName(named.rpcId),
        method: cutName(named.method ?? message.method),
        target: named.target === null ? null : cutName(named.target),
        decision: (sender === 'client' ? this.decisions?.[index] : undefined) ?? ALLOWED,
        continues,
      };
      if (call.rpc_id !== named.rpcId || call.method !== named.method || call.target !== named.target) {
        call.cut = true;
      }
      calls.push(call);
    }
    if (!areCrowded(calls)) return calls;
    this.#crowded.push({ sender, calls });
    return NO_CALLS;
  }

  /** Id, method and target of a message as they are recorded. */
  #shownNames(
    message: Message,
    messages: readonly Message[],
    shown: readonly Message[] | undefined,
    index: number,
  ): Names {
    const { masker } = this;
    if (masker === null || shown === messages) return message;
    // The structure of what is masked stays, so that messages are as many as before; what is not sure is looked through again.
    const known = shown?.length === messages.length ? shown[index] : undefined;
    if (known !== undefined && known.kind === message.kind) return known;
    const { rpcId, method, target, errorCode } = message;
    const code = errorCode === null ? '' : String(errorCode);
    return {
      rpcId: rpcId === null ? null : maskedId(masker, rpcId, null),
      method: method === null ? null : maskedName(masker, method, null),
      target: target === null ? null : maskedName(masker, target, null),
      errorCode: maskedName(masker, code, null) === code ? errorCode : null,
    };
  }

  /** To be asked after `takeMessages`: the text that holds these messages is not recorded. */
  get withholds(): boolean {
    return this.metadataOnly || this.#answersWithheld;
  }

  /** To be asked after `takeMessages`: a list of tools may be in the text that holds these messages. */
  get tellsTools(): boolean {
    return this.#answersTools;
  }

  /** The text that comes may be a part of a list of tools. */
  get mayTellTools(): boolean {
    return this.listsTools || this.context.operations.listsTools(this.sessionKey);
  }

  /** The text that comes may be a part of an answer that is not recorded. */
  get mayWithhold(): boolean {
    return this.metadataOnly || this.context.operations.withholds(this.sessionKey);
  }

  /** Appends the lines of what came up since the last call: calls without room on their body's line, and results. */
  takeResults(tails: LineTail[]): void {
    for (const { sender, calls } of this.#crowded) {
      for (const tail of encodeCrowdedCalls(this.id, () => this.nextPart(), sender, calls)) tails.push(tail);
    }
    if (this.#crowded.length > 0) this.#crowded = [];
    if (this.#settled.length === 0) return;
    for (const settled of this.#settled) {
      tails.push(encodeResult(settled, this.id, this.nextPart()));
      this.#taken.push(settled);
    }
    this.#settled = [];
  }

  /**
   * Names the session by what was learnt: an id from a header or an `endpoint` event, or else what can be inferred.
   * An id that only the answer brings is that of a session which the server opened for this caller.
   */
  nameSession(facts: Partial<SessionFacts>): void {
    const { sessions, bindings } = this.context;
    this.session = sessions.name({ ...NO_FACTS, principalKey: this.caller.key, ...facts });
    const id = facts.mcpSessionId ?? facts.sseSessionId ?? null;
    const spelling = id === null ? null : sessionSpelling(id);
    if (spelling === null) return;
    this.#boundAs = sessions.hash(spelling);
    if (!this.sentSessionId) bindings.opened(this.#boundAs, this.caller);
  }

  /** Appends what ends the exchange: results of operations that end with it, and `end`. */
  takeEnd(tails: LineTail[], ending: Ending): void {
    const { operations, clock, metrics } = this.context;
    const { how, status } = ending;
    if (!this.ended && !this.#unrecorded) metrics.exchangeEnded(how);
    this.ended = true;
    this.#settled.push(...operations.exchangeEnded(this.open, { ...ending, protocol: this.protocol }));
    this.takeResults(tails);
    if (this.deletesSession && how === 'complete' && status !== null && status < 300) {
      if (this.#boundAs !== null) this.context.bindings.ended(this.#boundAs);
      for (const settled of operations.sessionEnded(this.sessionKey))
        tails.push(encodeResult(settled, null, null));
    }
    const part = this.nextPart();
    tails.push(
      encodeEndTail({
        exchange: this.id,
        part,
        ended: {
          parts: part + 1,
          how,
          status,
          bytes_in: this.bytesIn,
          bytes_out: this.bytesOut,
          released_bytes: ending.released,
          duration_us: Math.round(clock.monotonicUs() - this.startedUs),
          trailers: ending.trailers,
          open_operations: this.open.map(({ call }) => call.operation),
        },
      }),
    );
  }

  /** Nothing is recorded of it: its own calls never were; what it answered of others was answered all the same. */
  forget(): void {
    this.ended = true;
    const { operations, spool } = this.context;
    operations.exchangeEnded(this.open, {
      how: 'denied',
      protocol: this.protocol,
      status: null,
      tooLarge: false,
      answeredBy: 'recorder',
    });
    const answered = this.#settled
      .filter(({ callExchange }) => callExchange !== this.id)
      .map((result) => encodeResult(result, null, null));
    this.#settled = [];
    if (answered.length > 0) spool.append(answered, () => {}, CLOSING);
  }

  /** Gives lines to the spool. When they are lost, what comes next is numbered and counted as if these had never been. */
  append(tails: LineTail[], durable: Durable, closing = false): void {
    const partsAfter = this.#parts;
    const bytesOutAfter = this.bytesOut;
    // Never the list that later results are put into: they would count as part of this append too.
    const results = this.#taken.length === 0 ? NO_RESULTS : this.#taken;
    if (results.length > 0) this.#taken = [];
    this.#unanswered++;
    const answered = (error: SpoolError | null): void => {
      this.#unanswered--;
      if (error === null || error.durableLines === tails.length) {
        this.#durableParts = partsAfter;
        this.#durableBytesOut = bytesOutAfter;
        for (const { operation, method, outcome } of results) {
          if (operation !== null) this.context.metrics.operationEnded(method, outcome);
        }
      } else {
        this.#parts = this.#durableParts += error.durableLines;
        this.bytesOut = this.#durableBytesOut;
        this.#told = false;
        this.#toldSession = null;
        // Of lines that were lost only in part it is not known which; a result must not stand twice.
        if (error.durableLines === 0) this.#settled = [...results, ...this.#settled];
      }
      durable(error);
      if (this.#unanswered > 0) return;
      if (this.#unrecorded && this.ended) this.#leaveGap();
      if (this.#whenAnswered !== null) {
        const then = this.#whenAnswered;
        this.#whenAnswered = null;
        then();
      }
    };
    if (this.#unrecorded) {
      queueMicrotask(() => answered(null));
      return;
    }
    this.context.spool.append(
      tails,
      (error) => answered(error !== null && this.#meetsGap(error) ? null : error),
      closing ? CLOSING : undefined,
    );
  }

  /** True when the exchange goes on unrecorded from here, because its lines can't be written and the configuration wants that. */
  #meetsGap(error: SpoolError): boolean {
    const { gaps, gate } = this.context;
    // What only waits for the store is recorded.
    if (!gaps.allowed || error.code === 'drained' || error.code === 'not_stored') return false;
    if (!this.#unrecorded) this.goUnrecorded(gate.current.cause?.reason ?? 'spool_failed');
    return true;
  }

  /** Nothing of it is recorded from here on. @param cause a reason of the gate */
  goUnrecorded(cause: string): void {
    this.#unrecorded = true;
    this.context.gaps.exchangeMet(cause);
  }

  get unrecorded(): boolean {
    return this.#unrecorded;
  }

  #leaveGap(): void {
    if (this.#leftGap) return;
    this.#leftGap = true;
    this.context.gaps.exchangeEnded();
  }

  /** Calls `then` once no append of this exchange waits any more: only then is it known what number comes next. */
  whenAnswered(then: () => void): void {
    if (this.#unanswered === 0) then();
    else this.#whenAnswered = then;
  }
}

type Names = Pick<Message, 'rpcId' | 'method' | 'target' | 'errorCode'>;

const NOTHING_NEW: Known = {};
const CLOSING = { closing: true };
const CUT = { cut: true } as const;

/** The `result` line of an operation; without exchange when no bytes carried its end. */
export function encodeResult(result: Result, exchange: string | null, part: number | null): LineTail {
  const { method, target, errorCode, durationUs } = result;
  const rpcId = cutName(result.rpcId);
  const cutMethod = method === null ? null : cutName(method);
  const cutTarget = target === null ? null : cutName(target);
  return encodeResultTail({
    exchange,
    part,
    operation: result.operation,
    call_exchange: result.callExchange,
    rpc_id: rpcId,
    principalJson: result.principalJson,
    ...(result.session === null ? {} : { session: result.session }),
    method: cutMethod,
    target: cutTarget,
    sender: result.sender,
    outcome: result.outcome,
    cause: result.cause,
    // The server chooses it; a column keeps one type, so what is no integer is not a code.
    error_code: Number.isSafeInteger(errorCode) ? errorCode : null,
    duration_us: durationUs === null ? null : Math.round(durationUs),
    ...(rpcId !== result.rpcId || cutMethod !== method || cutTarget !== target ? CUT : {}),
  });
}
