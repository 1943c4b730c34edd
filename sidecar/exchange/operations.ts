/**
 * Owns the open JSON-RPC requests of both sides, until their result, over as many exchanges as it takes.
 * Invariant: each request is settled at most once; memory is bounded in time and per session.
 */
import type { EndHow, Outcome, Sender, Session } from '@mcp-recorder/recording/format/line';
import type { Message } from './json-scan.ts';

/** A JSON-RPC request that became complete. */
export interface OperationCall {
  operation: string;
  exchange: string;
  sender: Sender;
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

/** How an exchange ended, as far as its open operations are concerned. */
export interface ExchangeEnding {
  how: EndHow;
  /** Protocol revision of the exchange, when known. */
  protocol: string | null;
  status: number | null;
  /** The answer was above the bound for parsing. */
  tooLarge: boolean;
  answeredBy: 'server' | 'recorder';
}

export interface OperationTable {
  begin(call: OperationCall): { continues: string | null };
  settle(answer: OperationAnswer): SettledOperation | null;
  cancelRequested(sessionKey: string, rpcId: string, sender: Sender): void;
  exchangeEnded(exchange: string, ending: ExchangeEnding): SettledOperation[];
  openOf(exchange: string): string[];
  sessionEnded(sessionKey: string): SettledOperation[];
  expire(): SettledOperation[];
  drain(): SettledOperation[];
  readonly open: number;
}

export interface OperationTableOptions {
  ttlMs?: number;
  maxPerSession?: number;
  /** Microseconds of a monotonic clock. */
  nowUs: () => number;
}

export function createOperationTable(_options: OperationTableOptions): OperationTable {
  throw new Error('not yet');
}

/** What a JSON-RPC response says about the call that it answers. */
export function outcomeOf(_message: Message): Outcome {
  throw new Error('not yet');
}
