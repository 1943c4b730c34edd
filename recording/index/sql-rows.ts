/**
 * Owns how a row of SQL, with the columns that row-queries.ts asks for, becomes one of a reader's.
 * Invariant: a call and a result are put together as they stood on their lines.
 */
import type { SQLOutputValue } from 'node:sqlite';
import type { Call, Outcome, Principal, ResultLine, Session } from '../format/line.ts';
import { formatMicros } from '../format/time.ts';
import type { Row, RowHead } from './row.ts';

export type SqlRow = Record<string, SQLOutputValue>;
/** The principal with this id; null for none. */
export type FindPrincipal = (id: SQLOutputValue | undefined) => Principal | null;

export function placeOf({ cluster, namespace, server }: SqlRow) {
  return { cluster, namespace, server } as { cluster: string; namespace: string; server: string };
}

export function headOf(row: SqlRow, principal: FindPrincipal): Omit<RowHead, 'cause'> {
  const { stream, seq, time, exchange = null, session = null, session_how, asked = null } = row;
  return {
    place: placeOf(row),
    stream: stream as string,
    seq: seq as number,
    time: formatMicros(time as number),
    exchange: exchange as string | null,
    principal: principal(row['principal']),
    session: session === null ? null : ({ id: session, how: session_how } as Session),
    http:
      asked === null
        ? null
        : ({
            method: row['http_method'],
            target: row['http_target'],
            status: row['status'] ?? null,
            client_address: row['client_address'],
          } as RowHead['http']),
  };
}

export function callRow(row: SqlRow, principal: FindPrincipal): Row {
  const call = {
    operation: row['operation'],
    kind: row['kind'],
    sender: row['sender'],
    rpc_id: row['rpc_id'],
    method: row['method'],
    target: row['target'],
    decision: { action: row['action'], rule: row['rule'] },
    continues: row['continues'],
    ...(row['cut'] === null ? {} : { cut: true }),
  } as Call;
  const head = headOf(row, principal);
  if (call.kind === 'notification') {
    return { ...head, cause: null, kind: 'notification', call, result: null, outcome: null };
  }
  const result = resultOf(row, principal);
  return {
    ...head,
    principal: head.principal ?? result?.principal ?? null,
    cause: result === null ? 'no_result' : result.cause,
    kind: 'request',
    call,
    result,
    outcome: result?.outcome ?? 'unknown',
  };
}

export function resultRow(row: SqlRow, principal: FindPrincipal): Row {
  const result = resultOf(row, principal) as ResultLine;
  return {
    ...headOf(row, principal),
    principal: result.principal,
    session: result.session ?? null,
    cause: result.cause,
    kind: 'request',
    call: null,
    result,
    outcome: result.outcome,
  };
}

/** The line as it was recorded; null where the row has none. */
function resultOf(row: SqlRow, principal: FindPrincipal): ResultLine | null {
  if (row['r_time'] === null) return null;
  const session = row['r_session'] as string | null;
  return {
    v: 1,
    stream: row['r_stream'] as string,
    seq: row['r_seq'] as number,
    time: formatMicros(row['r_time'] as number),
    type: 'result',
    exchange: row['r_exchange'] as string | null,
    part: row['r_part'] as number | null,
    operation: row['r_operation'] as string | null,
    call_exchange: row['r_call_exchange'] as string | null,
    rpc_id: row['r_rpc_id'] as string,
    principal: principal(row['r_principal']) as Principal,
    ...(session === null ? {} : { session: { id: session, how: row['r_session_how'] } as Session }),
    method: row['r_method'] as string | null,
    target: row['r_target'] as string | null,
    sender: row['r_sender'] as ResultLine['sender'],
    outcome: row['r_outcome'] as Outcome,
    cause: row['r_cause'] as string | null,
    error_code: row['r_error_code'] as number | null,
    duration_us: row['r_duration_us'] as number | null,
    ...(row['r_cut'] === null ? {} : { cut: true }),
  };
}
