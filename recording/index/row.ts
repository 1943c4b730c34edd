/**
 * Owns what a search answers with: one row for each thing that was asked for, with what became of it.
 * Its columns mean what those of the view `operations` in schema/duckdb.sql mean.
 */
import type { Call, DeniedLine, GapLine, Outcome, Principal, ResultLine, Session } from '../format/line.ts';

/** Where it was recorded. */
export interface Place {
  cluster: string;
  namespace: string;
  server: string;
}

export type Row = RowHead &
  (
    | {
        /** A JSON-RPC request, from either side. */
        kind: 'request';
        /** Null: the call went through another pod, and only its result is known here. */
        call: Call | null;
        /** Null: it is running still, or its recorder died. */
        result: ResultLine | null;
        /** `unknown` without a result. */
        outcome: Outcome;
      }
    | { kind: 'notification'; call: Call; result: null; outcome: null }
    /** An HTTP request whose body holds no call: a stream opened, a session deleted, a client's answer, a body that is no JSON-RPC. */
    | { kind: 'exchange'; call: null; result: null; outcome: null }
    /** Requests that were refused before they became exchanges; one row may stand for many. */
    | { kind: 'denied'; call: null; result: null; outcome: 'denied'; denied: DeniedLine['denied'] }
  );

export interface RowHead {
  place: Place;
  stream: string;
  /** Of the line that the row's time is of. */
  seq: number;
  /** Of the line on which the call became complete; of the result where the call is not known; of the request; of the denied line. */
  time: string;
  /** The exchange of the call. Null for what was refused before, and for a result whose call is not known. */
  exchange: string | null;
  /** Of the exchange's request, else of the result; null: the recording does not say. */
  principal: Principal | null;
  /** The best-known session that any line of the exchange names. */
  session: Session | null;
  /** Why: of the result; `no_result` for a request without one; the reason of a denial. */
  cause: string | null;
  /** Of the exchange's request, with the status of its newest response; null where there is no exchange or its request is not known. */
  http: {
    method: string | null;
    target: string | null;
    status: number | null;
    client_address: string | null;
  } | null;
}

/** Something that was not recorded. */
export interface PlacedGap {
  place: Place;
  stream: string;
  seq: number;
  time: string;
  gap: GapLine['gap'];
}
