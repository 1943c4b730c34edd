/**
 * Owns the open JSON-RPC requests of both sides, until their result, over as many exchanges as it takes.
 * Invariant: each request is settled at most once; what stays open is bounded in time, per session and in all.
 */
import type { Outcome, Sender, Session } from '@mcp-recorder/recording/format/line';
import type { Message } from './json-scan.ts';
import { conclusionOf, type ExchangeEnding } from './operation-ending.ts';
import { createOperationLinks } from './operation-links.ts';

/** A JSON-RPC request that became complete. */
export interface OperationCall {
  operation: string;
  exchange: string;
  sender: Sender;
  /** JSON text of the id. */
  rpcId: string;
  method: string;
  target: string | null;
  /** Whose requests may be answered by whom: equal for the same principal and session. */
  sessionKey: string;
  session: Session | null;
  /** Carried to the result line, as JSON text. */
  principalJson: string;
  /** `requestState` of the request, when it goes on with an earlier one. */
  requestState: string | null;
  /** `params.taskId` of the request. */
  taskId: string | null;
}

/** A JSON-RPC response that arrived. */
export interface OperationAnswer {
  /** The exchange it arrived in. */
  exchange: string;
  /** Who sent the answer. */
  sender: Sender;
  sessionKey: string;
  message: Message;
}

/** What a `result` line says, without where it stands. */
export interface SettledOperation {
  operation: string;
  callExchange: string;
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
}

export interface OperationTable {
  /** @returns the operation that this one goes on with, or null */
  begin(call: OperationCall): { continues: string | null };
  /** The call that is answered: of the same exchange first, then of the session, oldest first; null when it is not known here. */
  settle(answer: OperationAnswer): SettledOperation | null;
  /** @param sender who made the call and now cancels it */
  cancelRequested(sessionKey: string, rpcId: string, sender: Sender): void;
  /** Settles the calls that end with their exchange; those that may be answered elsewhere stay open. */
  exchangeEnded(exchange: string, ending: ExchangeEnding): SettledOperation[];
  /** Calls that began in this exchange and have no result. */
  openOf(exchange: string): string[];
  /** The session was deleted: nothing in it can be answered any more. */
  sessionEnded(sessionKey: string): SettledOperation[];
  /** To be called now and then: calls that waited too long, or had to make room. */
  expire(): SettledOperation[];
  /** The process ends: everything that is open. */
  drain(): SettledOperation[];
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

interface OpenCall {
  call: OperationCall;
  idKey: string;
  beganUs: number;
  cancelRequested: boolean;
}

/** Sets keep the order of insertion, so the first is the oldest. */
type OpenCalls = Set<OpenCall>;

/** Makes the table of one process. */
export function createOperationTable(options: OperationTableOptions): OperationTable {
  const { nowUs, ttlMs = 600_000, maxPerSession = 1_000 } = options;
  const all: OpenCalls = new Set();
  const bySession = new Map<string, OpenCalls>();
  const byExchange = new Map<string, OpenCall[]>();
  const links = createOperationLinks();
  let madeRoom: SettledOperation[] = [];

  function remove(open: OpenCall): void {
    const { exchange, sessionKey } = open.call;
    all.delete(open);
    const session = bySession.get(sessionKey);
    if (session?.delete(open) && session.size === 0) bySession.delete(sessionKey);
    const ofExchange = byExchange.get(exchange);
    if (ofExchange === undefined) return;
    if (ofExchange.length === 1) byExchange.delete(exchange);
    else ofExchange.splice(ofExchange.indexOf(open), 1);
  }

  function close(
    open: OpenCall,
    outcome: Outcome,
    cause: string | null,
    errorCode: number | null = null,
  ): SettledOperation {
    remove(open);
    const { operation, exchange, rpcId, principalJson, session, method, target, sender } = open.call;
    return {
      operation,
      callExchange: exchange,
      rpcId,
      principalJson,
      session,
      method,
      target,
      sender,
      outcome,
      cause,
      errorCode,
      durationUs: nowUs() - open.beganUs,
    };
  }

  /** Nothing will be known of this call any more; one that was cancelled got no answer, which is what was asked for. */
  function giveUp(open: OpenCall, cause: string): SettledOperation {
    return open.cancelRequested ? close(open, 'cancelled', cause) : close(open, 'unknown', cause);
  }

  function find(calls: Iterable<OpenCall> | undefined, sender: Sender, idKey: string): OpenCall | null {
    if (calls === undefined) return null;
    for (const open of calls) {
      if (open.idKey === idKey && open.call.sender === sender) return open;
    }
    return null;
  }

  function continued(call: OperationCall): string | null {
    const { principalJson, requestState, taskId } = call;
    if (requestState !== null) return links.find(principalJson, 'state', requestState);
    return taskId === null ? null : links.find(principalJson, 'task', taskId);
  }

  function rememberHandles({ call }: OpenCall, outcome: Outcome, message: Message): void {
    const { principalJson, operation } = call;
    if (outcome === 'input_required' && message.requestState !== null) {
      links.remember(principalJson, 'state', message.requestState, operation);
    } else if (outcome === 'task' && message.taskId !== null) {
      links.remember(principalJson, 'task', message.taskId, operation);
    }
  }

  function makeRoom(calls: OpenCalls): void {
    for (const oldest of calls) {
      madeRoom.push(giveUp(oldest, 'too_many_open'));
      return;
    }
  }

  return {
    begin(call) {
      const { exchange, sessionKey } = call;
      const open = { call, idKey: idKeyOf(call.rpcId), beganUs: nowUs(), cancelRequested: false };
      all.add(open);
      const ofExchange = byExchange.get(exchange);
      if (ofExchange === undefined) byExchange.set(exchange, [open]);
      else ofExchange.push(open);
      const session = bySession.get(sessionKey);
      if (session === undefined) bySession.set(sessionKey, new Set([open]));
      else session.add(open);
      if (session !== undefined && session.size > maxPerSession) makeRoom(session);
      if (all.size > MAX_OPEN) makeRoom(all);
      return { continues: continued(call) };
    },

    settle({ exchange, sender, sessionKey, message }) {
      if (message.rpcId === null) return null;
      const idKey = idKeyOf(message.rpcId);
      const caller = sender === 'client' ? 'server' : 'client';
      const open =
        find(byExchange.get(exchange), caller, idKey) ?? find(bySession.get(sessionKey), caller, idKey);
      if (open === null) return null;
      const outcome = outcomeOf(message);
      rememberHandles(open, outcome, message);
      return close(open, outcome, null, message.errorCode);
    },

    cancelRequested(sessionKey, rpcId, sender) {
      const open = find(bySession.get(sessionKey), sender, idKeyOf(rpcId));
      if (open !== null) open.cancelRequested = true;
    },

    exchangeEnded(exchange, ending) {
      const settled: SettledOperation[] = [];
      for (const open of byExchange.get(exchange)?.slice() ?? []) {
        // A server's request is answered by a request of the client's, so no end of a response ends it.
        if (open.call.sender === 'server') continue;
        const conclusion = conclusionOf(ending, open.cancelRequested);
        if (conclusion !== null) settled.push(close(open, conclusion.outcome, conclusion.cause));
      }
      return settled;
    },

    openOf(exchange) {
      return (byExchange.get(exchange) ?? []).map(({ call }) => call.operation);
    },

    sessionEnded(sessionKey) {
      return [...(bySession.get(sessionKey) ?? [])].map((open) => giveUp(open, 'session_deleted'));
    },

    expire() {
      const settled = madeRoom;
      madeRoom = [];
      const latestUs = nowUs() - ttlMs * 1000;
      for (const open of all) {
        if (open.beganUs > latestUs) break;
        settled.push(giveUp(open, 'timeout'));
      }
      return settled;
    },

    drain() {
      const settled = [...madeRoom, ...[...all].map((open) => giveUp(open, 'drain'))];
      madeRoom = [];
      return settled;
    },

    get open() {
      return all.size;
    },
  };
}

/** What a JSON-RPC response says about the call that it answers. */
export function outcomeOf(message: Message): Outcome {
  if (message.hasError) return 'error';
  if (message.isError) return 'tool_error';
  if (message.resultType === 'input_required') return 'input_required';
  if (message.resultType === 'task' || message.hasTask) return 'task';
  return 'ok';
}

/** Peers may write the id that they echo in another way (`"\u0061"`, `1.0`); it is the same id. */
function idKeyOf(rpcId: string): string {
  const first = rpcId.charCodeAt(0);
  if (first === 0x22) return rpcId.includes('\\') ? JSON.stringify(JSON.parse(rpcId)) : rpcId;
  const isFraction = (first === 0x2d || (first >= 0x30 && first <= 0x39)) && /[.eE]/.test(rpcId);
  return isFraction ? String(Number(rpcId)) : rpcId;
}
