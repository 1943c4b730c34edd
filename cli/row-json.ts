/**
 * Owns a row of a search as JSON: a published contract, version 1 (docs/cli.md, docs/schema/search.schema.json).
 * Invariant: members may be added, none is renamed, retyped or removed. Names are those of the view `operations` in schema/duckdb.sql.
 */
import type {
  Decision,
  DeniedLine,
  GapLine,
  Outcome,
  Principal,
  Sender,
  Session,
} from '@mcp-recorder/recording/format/line';
import type { PlacedGap, Row } from '@mcp-recorder/recording/index/row';

/** Where a line of the recording stands. */
interface PlaceJson {
  cluster: string;
  namespace: string;
  server: string;
  stream: string;
  seq: number;
  time: string;
}

export interface RowJson extends PlaceJson {
  v: 1;
  type: 'row';
  kind: Row['kind'];
  operation: string | null;
  exchange: string | null;
  result_exchange: string | null;
  result_time: string | null;
  principal: Principal | null;
  session: Session | null;
  sender: Sender | null;
  rpc_id: string | null;
  method: string | null;
  target: string | null;
  decision: Decision | null;
  continues: string | null;
  outcome: Outcome | null;
  cause: string | null;
  error_code: number | null;
  duration_us: number | null;
  http: Row['http'];
  denied: DeniedLine['denied'] | null;
}

export interface GapJson extends PlaceJson {
  v: 1;
  type: 'gap';
  gap: GapLine['gap'];
}

/** The last line of a search. */
export interface SummaryJson {
  v: 1;
  type: 'summary';
  /** Lines of type `row`. */
  rows: number;
  /** Whether more rows match; null: not known, because the reading was interrupted. */
  more: boolean | null;
  interrupted: boolean;
  /** Lines of type `gap`. */
  gaps: number;
  /** Objects and lines that could not be read, or that are not what was first stored. */
  unreadable: number;
  /** Rows of which `--where` could not be evaluated. */
  where_errors: number;
}

/** The row as it is published. */
export function rowJson(row: Row): RowJson {
  const { place, stream, seq, time, kind, exchange, principal, session, call, result, outcome, cause, http } =
    row;
  return {
    v: 1,
    type: 'row',
    kind,
    time,
    ...placeOf(place),
    principal,
    session,
    operation: call?.operation ?? result?.operation ?? null,
    exchange: exchange ?? result?.call_exchange ?? null,
    sender: call?.sender ?? result?.sender ?? null,
    rpc_id: call?.rpc_id ?? result?.rpc_id ?? null,
    method: call?.method ?? result?.method ?? null,
    target: call?.target ?? result?.target ?? null,
    decision: call?.decision ?? null,
    continues: call?.continues ?? null,
    outcome,
    cause,
    error_code: result?.error_code ?? null,
    duration_us: result?.duration_us ?? null,
    result_time: result?.time ?? null,
    result_exchange: result?.exchange ?? null,
    http,
    denied: row.kind === 'denied' ? row.denied : null,
    stream,
    seq,
  };
}

/** The gap as it is published. */
export function gapJson({ place, stream, seq, time, gap }: PlacedGap): GapJson {
  return { v: 1, type: 'gap', time, ...placeOf(place), stream, seq, gap };
}

/** Nothing but what is published of it. */
function placeOf({ cluster, namespace, server }: Row['place']): Row['place'] {
  return { cluster, namespace, server };
}
