/**
 * Owns the open JSON-RPC requests of both sides, until their result, over as many exchanges as it takes.
 * Invariant: each request is settled at most once; what stays open is bounded in time, per session and in all.
 */
import { hash } from 'node:crypto';
import type { Outcome, Sender, Session } from '@mcp-recorder/recording/format/line';
import type { Message } from './json-scan.ts';
import { conclusionOf, type ExchangeEnding } from './operation-ending.ts';
import { createOperationLinks } from './operation-links.ts';

/** A JSON-RPC request that became complete. */
export interface OperationCall {
  operation: string;
  exchange: string;
  /** The open calls that began in the same exchange: a list of the exchange's own, kept by this table. */
  siblings: OpenCall[];
  sender: Sender;
  /** JSON text of the id: what an answer is found by. */
  rpcId: string;
  /** The same, method and target as they are recorded. */
  shownId: string;
  method: string;
  target: string | null;
  /** Of this call, and of what answers it, only metadata is recorded. */
  metadataOnly: boolean;
  /** It asks for a list of tools. */
  listsTools: boolean;
  /** Whose requests may be answered by whom: equal for the same principal and session. */
  sessionKey: string;
  session: Session | null;
  /** Carried to the result line, as JSON text. */
  principalJson: string;
  /** Tells callers apart. */
  principalKey: string;
  /** `requestState` of the request, when it goes on with an earlier one. */
  requestState: string | null;
  /** `params.taskId` of the request. */
  taskId: string | null;
}

/** A JSON-RPC response that arrived. */
export interface OperationAnswer {
  /** The open calls that began in the exchange where it arrived. */
  siblings: readonly OpenCall[];
  /** Who sent the answer. */
  sender: Sender;
  sessionKey: string;
  message: Message;
}

/** What a `result` line says, without where it stands. */
export interface SettledOperation {
  operation: string;
  callExchange: string;
  /** As it is recorded. */
  rpcId: string;
  principalJson: string;
  session: Session | null;
  method: string;
  target: string | null;
  sender: Sender;
  outcome: Outcome;
  cause: string | null;
  errorCode: number | null;
  durationUs: number;
  metadataOnly: boolean;
  listsTools: boolean;
}

export interface OperationTable {
  /** @returns the operation that this one goes on with, or null */
  begin(call: OperationCall): string | null;
  /** The call that is answered: of the same exchange first, then of the session, oldest first; null when it is not known here. */
  settle(answer: OperationAnswer): SettledOperation | null;
  /** @param sender who made the call and now cancels it */
  cancelRequested(sessionKey: string, rpcId: string, sender: Sender): void;
  /** Settles the calls that end with their exchange; those that may be answered elsewhere stay open. */
  exchangeEnded(siblings: OpenCall[], ending: ExchangeEnding): SettledOperation[];
  /** The session was deleted: nothing in it can be answered any more. */
  sessionEnded(sessionKey: string): SettledOperation[];
  /** To be called now and then: calls that waited too long, or had to make room. */
  expire(): SettledOperation[];
  /** The process ends: everything that is open. */
  drain(): SettledOperation[];
  /** True when a call is open in this session of which only metadata is recorded: what comes may be a part of its answer. */
  withholds(sessionKey: string): boolean;
  /** True when a call is open in this session that asks for a list of tools. */
  listsTools(sessionKey: string): boolean;
  /** How many calls are open. */
  readonly open: number;
}

export interface OperationTableOptions {
  /** How long a call may stay open (milliseconds). */
  ttlMs?: number;
  maxPerSession?: number;
  /** Microseconds of a monotonic clock. */
  nowUs: () => number;
}

/** Most open calls in all sessions: clients can make up as many sessions as they like. */
const MAX_OPEN = 100_000;

/** A call without a result. What it points to is let go when it closes: nothing that is over may keep what comes after it alive. */
export interface OpenCall {
  readonly call: OperationCall;
  readonly idKey: string;
  readonly beganUs: number;
  cancelRequested: boolean;
  /** The open calls of its session, the oldest first. */
  session: OpenCall[];
  older: OpenCall | null;
  newer: OpenCall | null;
}

/** Sessions without open calls are kept, because most will have one again, until there are so many in all. */
const IDLE_SESSIONS = 10_000;
const NO_CALLS: OpenCall[] = [];

/** Makes the table of one process. */
export function createOperationTable(options: OperationTableOptions): OperationTable {
  const { nowUs, ttlMs = 600_000, maxPerSession = 1_000 } = options;
  const bySession = new Map<string, OpenCall[]>();
  const links = createOperationLinks();
  let oldest: OpenCall | null = null;
  let newest: OpenCall | null = null;
  let openCount = 0;
  let sweepAt = IDLE_SESSIONS;
  let madeRoom: SettledOperation[] = [];

  function sessionOf(key: string): OpenCall[] {
    let session = bySession.get(key);
    if (session === undefined) {
      if (bySession.size >= sweepAt) {
        for (const [idle, calls] of bySession) if (calls.length === 0) bySession.delete(idle);
        sweepAt = Math.max(IDLE_SESSIONS, 2 * bySession.size);
      }
      session = [];
      bySession.set(key, session);
    }
    return session;
  }

  function remove(open: OpenCall): void {
    const { older, newer } = open;
    if (older === null) oldest = newer;
    else older.newer = newer;
    if (newer === null) newest = older;
    else newer.older = older;
    open.older = null;
    open.newer = null;
    openCount -= 1;
    take(open.session, open);
    open.session = NO_CALLS;
    take(open.call.siblings, open);
  }

  function close(
    open: OpenCall,
    outcome: Outcome,
    cause: string | null,
    errorCode: number | null = null,
  ): SettledOperation {
    remove(open);
    const { operation, exchange, shownId, principalJson, session, method, target, sender } = open.call;
    return {
      operation,
      callExchange: exchange,
      rpcId: shownId,
      principalJson,
      session,
      method,
      target,
      sender,
      outcome,
      cause,
      errorCode,
      durationUs: nowUs() - open.beganUs,
      metadataOnly: open.call.metadataOnly,
      listsTools: open.call.listsTools,
    };
  }

  /** Nothing will be known of this call any more; one that was cancelled got no answer, which is what was asked for. */
  function giveUp(open: OpenCall, cause: string): SettledOperation {
    return open.cancelRequested ? close(open, 'cancelled', cause) : close(open, 'unknown', cause);
  }

  function find(calls: readonly OpenCall[] | undefined, sender: Sender, idKey: string): OpenCall | null {
    if (calls === undefined) return null;
    for (const open of calls) {
      if (open.idKey === idKey && open.call.sender === sender) return open;
    }
    return null;
  }

  function continued(call: OperationCall): string | null {
    const { principalKey, requestState, taskId } = call;
    if (requestState !== null) return links.find(principalKey, 'state', requestState);
    return taskId === null ? null : links.find(principalKey, 'task', taskId);
  }

  function rememberHandles({ call }: OpenCall, outcome: Outcome, message: Message): void {
    const { principalKey, operation } = call;
    if (outcome === 'input_required' && message.requestState !== null) {
      links.remember(principalKey, 'state', message.requestState, operation);
    } else if (outcome === 'task' && message.taskId !== null) {
      links.remember(principalKey, 'task', message.taskId, operation);
    }
  }

  return {
    begin(call) {
      const session = sessionOf(call.sessionKey);
      const open: OpenCall = {
        call: bounded(call),
        idKey: idKeyOf(call.rpcId),
        beganUs: nowUs(),
        cancelRequested: false,
        session,
        older: newest,
        newer: null,
      };
      if (newest === null) oldest = open;
      else newest.newer = open;
      newest = open;
      openCount += 1;
      call.siblings.push(open);
      session.push(open);
      if (session.length > maxPerSession) madeRoom.push(giveUp(session[0] as OpenCall, 'too_many_open'));
      if (openCount > MAX_OPEN) madeRoom.push(giveUp(oldest as OpenCall, 'too_many_open'));
      return continued(call);
    },

    settle({ siblings, sender, sessionKey, message }) {
      if (message.rpcId === null) return null;
      const idKey = idKeyOf(message.rpcId);
      const caller = sender === 'client' ? 'server' : 'client';
      const open = find(siblings, caller, idKey) ?? find(bySession.get(sessionKey), caller, idKey);
      if (open === null) return null;
      const outcome = outcomeOf(message);
      rememberHandles(open, outcome, message);
      return close(open, outcome, null, message.errorCode);
    },

    cancelRequested(sessionKey, rpcId, sender) {
      const open = find(bySession.get(sessionKey), sender, idKeyOf(rpcId));
      if (open !== null) open.cancelRequested = true;
    },

    exchangeEnded(siblings, ending) {
      if (siblings.length === 0) return [];
      const settled: SettledOperation[] = [];
      for (const open of siblings.slice()) {
        // A server's request is answered by a request of the client's, so no end of a response ends it.
        if (open.call.sender === 'server') continue;
        const conclusion = conclusionOf(ending, open.cancelRequested);
        if (conclusion !== null) settled.push(close(open, conclusion.outcome, conclusion.cause));
      }
      return settled;
    },

    sessionEnded(sessionKey) {
      return [...(bySession.get(sessionKey) ?? [])].map((open) => giveUp(open, 'session_deleted'));
    },

    expire() {
      const settled = madeRoom;
      madeRoom = [];
      const latestUs = nowUs() - ttlMs * 1000;
      while (oldest !== null && oldest.beganUs <= latestUs) settled.push(giveUp(oldest, 'timeout'));
      return settled;
    },

    drain() {
      const settled = madeRoom;
      madeRoom = [];
      while (oldest !== null) settled.push(giveUp(oldest, 'drain'));
      return settled;
    },

    withholds: (sessionKey) => (bySession.get(sessionKey) ?? NO_CALLS).some(({ call }) => call.metadataOnly),
    listsTools: (sessionKey) => (bySession.get(sessionKey) ?? NO_CALLS).some(({ call }) => call.listsTools),

    get open() {
      return openCount;
    },
  };
}

/** Takes `open` out of a list, which keeps its order. */
function take(calls: OpenCall[], open: OpenCall): void {
  if (calls.length === 1 && calls[0] === open) calls.pop();
  else calls.splice(calls.indexOf(open), 1);
}

/** What a JSON-RPC response says about the call that it answers. */
export function outcomeOf(message: Message): Outcome {
  if (message.hasError) return 'error';
  if (message.isError) return 'tool_error';
  if (message.resultType === 'input_required') return 'input_required';
  if (message.resultType === 'task' || message.hasTask) return 'task';
  return 'ok';
}

/** Characters of an id or name that are kept of an open call: more than are recorded, so that the record says that they are cut. */
const MAX_KEPT = 2_048;

/** The call without what peers can make as long as a body: an open call outlives the budget of its request. */
function bounded(call: OperationCall): OperationCall {
  const { rpcId, shownId, method, target, requestState, taskId } = call;
  const long =
    rpcId.length > MAX_KEPT ||
    shownId.length > MAX_KEPT ||
    method.length > MAX_KEPT ||
    (target?.length ?? 0) > MAX_KEPT;
  if (!long && requestState === null && taskId === null) return call;
  return {
    ...call,
    rpcId: beginning(rpcId),
    shownId: beginning(shownId),
    method: beginning(method),
    target: target === null ? null : beginning(target),
    requestState: null,
    taskId: null,
  };
}

/** A copy, as a slice would keep the whole text alive. */
function beginning(text: string): string {
  return text.length <= MAX_KEPT ? text : Buffer.from(text.slice(0, MAX_KEPT)).toString();
}

/** Peers may write the id that they echo in another way (`"\u0061"`, `1.0`); it is the same id. */
function idKeyOf(rpcId: string): string {
  const key = sameIdKey(rpcId);
  return key.length <= MAX_KEPT ? key : hash('sha256', key, 'base64');
}

function sameIdKey(rpcId: string): string {
  const first = rpcId.charCodeAt(0);
  if (first === 0x22) return rpcId.includes('\\') ? JSON.stringify(JSON.parse(rpcId)) : rpcId;
  const isFraction = (first === 0x2d || (first >= 0x30 && first <= 0x39)) && /[.eE]/.test(rpcId);
  return isFraction ? String(Number(rpcId)) : rpcId;
}
