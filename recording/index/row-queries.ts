/**
 * Owns the rows of each kind: which statement finds them, and in which order.
 * Invariant: the statements read as the view `operations` of schema/duckdb.sql means its rows.
 */
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { DeniedLine, GapLine, Principal } from '../format/line.ts';
import { formatMicros } from '../format/time.ts';
import {
  addNames,
  addOutcomes,
  type Conditions,
  findWanted,
  timeConditions,
  type Wanted,
} from './conditions.ts';
import type { Filter } from './filter.ts';
import type { PlacedGap, Row } from './row.ts';
import { callRow, headOf, placeOf, resultRow, type SqlRow } from './sql-rows.ts';

type Order = 'newest' | 'oldest';

/** A row with what it is sorted by. */
interface Sorted {
  timeUs: number;
  stream: string;
  seq: number;
  nth: number;
  row: Row;
}

const BEST_SESSION = (exchange: string): string =>
  `(SELECT session FROM parts WHERE exchange = ${exchange} AND session IS NOT NULL ORDER BY strength DESC, session_seq LIMIT 1)`;
const STATUS = (exchange: string): string =>
  `(SELECT status FROM parts WHERE exchange = ${exchange} AND status_seq IS NOT NULL ORDER BY status_seq DESC LIMIT 1)`;

const PLACE = 'streams.name AS stream, cluster, namespace, server';
const ASKED =
  'q.method AS http_method, q.target AS http_target, q.client_address AS client_address, q.time AS asked';
const RESULT = `r.time AS r_time, r.seq AS r_seq, r_streams.name AS r_stream, r_exchanges.name AS r_exchange, r.part AS r_part, r.operation AS r_operation,
  r.call_exchange AS r_call_exchange, r.rpc_id AS r_rpc_id, r.principal AS r_principal, r_sessions.name AS r_session, r_sessions.how AS r_session_how,
  r.method AS r_method, r.target AS r_target, r.sender AS r_sender, r.outcome AS r_outcome, r.cause AS r_cause, r.error_code AS r_error_code,
  r.duration_us AS r_duration_us, r.cut AS r_cut`;
const RESULT_JOINS = `LEFT JOIN exchanges AS r_exchanges ON r_exchanges.id = r.exchange
  LEFT JOIN segments AS r_segments ON r_segments.id = r.segment LEFT JOIN streams AS r_streams ON r_streams.id = r_segments.stream
  LEFT JOIN sessions AS r_sessions ON r_sessions.id = r.session`;

export interface RowQueries {
  /** The rows that match, of what is in the index. One iteration at a time. @throws NoWords */
  rows(filter: Filter, order: Order): Iterable<Row>;
  /** The gaps of that time and place, oldest first. */
  gaps(filter: Pick<Filter, 'between' | 'servers' | 'namespaces'>): PlacedGap[];
}

export function createRowQueries(database: DatabaseSync): RowQueries {
  const principals = new Map<number, Principal>();
  const findPrincipal = database.prepare('SELECT json FROM principals WHERE id = ?');
  const principal = (id: SQLOutputValue | undefined): Principal | null => {
    if (typeof id !== 'number') return null;
    let found = principals.get(id);
    if (found === undefined) {
      found = JSON.parse(findPrincipal.get(id)?.['json'] as string) as Principal;
      if (principals.size >= 10_000) principals.clear();
      principals.set(id, found);
    }
    return found;
  };

  function* sorted(sql: string, values: Conditions['values'], make: (row: SqlRow) => Row): Iterable<Sorted> {
    for (const found of database.prepare(sql).iterate(values)) {
      const { time, stream, seq, nth } = found as unknown as Omit<Sorted, 'timeUs' | 'row'> & {
        time: number;
      };
      yield { timeUs: time, stream, seq, nth, row: make(found) };
    }
  }

  function* calls(filter: Filter, wanted: Wanted, order: Order): Iterable<Sorted> {
    const conditions = timeConditions(filter, 'c.time');
    addNames(conditions, filter, { method: 'c.method', target: 'c.target' });
    if (filter.outcomes.length > 0) conditions.sql.push("c.kind = 'request'");
    addOutcomes(conditions, filter, "coalesce(r.outcome, 'unknown')");
    if (wanted.places) conditions.sql.push('c.place IN (SELECT id FROM temp.wanted_places)');
    if (wanted.principals) {
      const isIn = 'IN (SELECT id FROM temp.wanted_principals)';
      const unknown = database.prepare('SELECT 1 FROM calls WHERE principal IS NULL LIMIT 1').get();
      conditions.sql.push(
        unknown === undefined
          ? `c.principal ${isIn}`
          : `(c.principal ${isIn} OR (c.principal IS NULL AND r.principal ${isIn}))`,
      );
    }
    if (wanted.sessions) {
      conditions.sql.push(
        'c.exchange IN (SELECT exchange FROM parts WHERE session IN (SELECT id FROM temp.wanted_sessions))',
        `${BEST_SESSION('c.exchange')} IN (SELECT id FROM temp.wanted_sessions)`,
      );
    }
    if (wanted.text) {
      const isIn = 'IN (SELECT id FROM temp.wanted_exchanges)';
      conditions.sql.push(
        isMany(database)
          ? `(c.exchange ${isIn} OR r.exchange ${isIn})`
          : `c.rowid IN (SELECT rowid FROM calls WHERE exchange ${isIn} UNION
               SELECT calls.rowid FROM results JOIN calls ON calls.operation = results.operation WHERE results.exchange ${isIn})`,
      );
    }
    yield* sorted(
      `SELECT c.time AS time, c.seq AS seq, c.nth AS nth, ${PLACE}, exchanges.name AS exchange, c.principal AS principal,
         sessions.name AS session, sessions.how AS session_how, ${ASKED}, ${STATUS('c.exchange')} AS status,
         c.operation, c.kind, c.sender, c.rpc_id, c.method, c.target, c.action, c.rule, c.continues, c.cut, ${RESULT}
       FROM calls AS c
       LEFT JOIN results AS r ON r.operation = c.operation AND c.kind = 'request' ${RESULT_JOINS}
       JOIN exchanges ON exchanges.id = c.exchange JOIN streams ON streams.id = exchanges.stream JOIN places ON places.id = c.place
       LEFT JOIN parts AS q ON q.exchange = c.exchange AND q.time IS NOT NULL
       LEFT JOIN sessions ON sessions.id = ${BEST_SESSION('c.exchange')}
       ${where(conditions)} ${orderBy('c', order, true)}`,
      conditions.values,
      (row) => callRow(row, principal),
    );
  }

  function* lonelyResults(filter: Filter, wanted: Wanted, order: Order): Iterable<Sorted> {
    const conditions = timeConditions(filter, 'r.time');
    conditions.sql.push(
      'r.called = 0',
      '(r.operation IS NULL OR NOT EXISTS (SELECT 1 FROM calls WHERE calls.operation = r.operation))',
    );
    addNames(conditions, filter, { method: 'r.method', target: 'r.target' });
    addOutcomes(conditions, filter, 'r.outcome');
    if (wanted.places) conditions.sql.push('r.place IN (SELECT id FROM temp.wanted_places)');
    if (wanted.principals) conditions.sql.push('r.principal IN (SELECT id FROM temp.wanted_principals)');
    if (wanted.sessions) conditions.sql.push('r.session IN (SELECT id FROM temp.wanted_sessions)');
    if (wanted.text) conditions.sql.push('r.exchange IN (SELECT id FROM temp.wanted_exchanges)');
    yield* sorted(
      `SELECT r.time AS time, r.seq AS seq, 0 AS nth, ${PLACE}, ${RESULT}
       FROM results AS r ${RESULT_JOINS}
       JOIN segments ON segments.id = r.segment JOIN streams ON streams.id = segments.stream JOIN places ON places.id = r.place
       ${where(conditions)} ${orderBy('r', order, false)}`,
      conditions.values,
      (row) => resultRow(row, principal),
    );
  }

  function* exchanges(filter: Filter, wanted: Wanted, order: Order): Iterable<Sorted> {
    if (filter.methods.length > 0 || filter.tools.length > 0 || filter.outcomes.length > 0) return;
    const conditions = timeConditions(filter, 'q.time');
    conditions.sql.push(
      'q.time IS NOT NULL',
      'q.called = 0',
      "NOT EXISTS (SELECT 1 FROM calls WHERE calls.exchange = q.exchange AND calls.sender = 'client')",
    );
    if (wanted.places) conditions.sql.push('streams.place IN (SELECT id FROM temp.wanted_places)');
    if (wanted.principals) conditions.sql.push('q.principal IN (SELECT id FROM temp.wanted_principals)');
    if (wanted.sessions) {
      conditions.sql.push(
        'q.exchange IN (SELECT exchange FROM parts WHERE session IN (SELECT id FROM temp.wanted_sessions))',
        `${BEST_SESSION('q.exchange')} IN (SELECT id FROM temp.wanted_sessions)`,
      );
    }
    if (wanted.text) conditions.sql.push('q.exchange IN (SELECT id FROM temp.wanted_exchanges)');
    yield* sorted(
      `SELECT q.time AS time, q.seq AS seq, 0 AS nth, ${PLACE}, exchanges.name AS exchange, q.principal AS principal,
         sessions.name AS session, sessions.how AS session_how, ${ASKED}, ${STATUS('q.exchange')} AS status
       FROM parts AS q
       JOIN exchanges ON exchanges.id = q.exchange JOIN streams ON streams.id = exchanges.stream JOIN places ON places.id = streams.place
       LEFT JOIN sessions ON sessions.id = ${BEST_SESSION('q.exchange')}
       ${where(conditions)} ${orderBy('q', order, false)}`,
      conditions.values,
      (row) => ({
        ...headOf(row, principal),
        cause: null,
        kind: 'exchange',
        call: null,
        result: null,
        outcome: null,
      }),
    );
  }

  function* denials(filter: Filter, wanted: Wanted, order: Order): Iterable<Sorted> {
    const { methods, tools, outcomes } = filter;
    if (methods.length > 0 || tools.length > 0 || wanted.sessions || wanted.text) return;
    if (outcomes.length > 0 && !outcomes.includes('denied')) return;
    const conditions = timeConditions(filter, 'd.time');
    if (wanted.places) conditions.sql.push('d.place IN (SELECT id FROM temp.wanted_places)');
    if (wanted.principals) conditions.sql.push('d.principal IN (SELECT id FROM temp.wanted_principals)');
    yield* sorted(
      `SELECT d.time AS time, d.seq AS seq, 0 AS nth, ${PLACE}, d.principal AS principal, d.json AS json
       FROM denials AS d
       JOIN segments ON segments.id = d.segment JOIN streams ON streams.id = segments.stream JOIN places ON places.id = d.place
       ${where(conditions)} ${orderBy('d', order, false)}`,
      conditions.values,
      (row) => {
        const denied = JSON.parse(row['json'] as string) as DeniedLine['denied'];
        const head = { ...headOf(row, principal), cause: denied.reason };
        return { ...head, kind: 'denied', call: null, result: null, outcome: 'denied', denied };
      },
    );
  }

  return {
    *rows(filter, order) {
      const wanted = findWanted(database, filter);
      const sources = [calls, lonelyResults, exchanges, denials];
      yield* merged(
        sources.map((source) => source(filter, wanted, order)),
        order,
      );
    },
    gaps({ between, servers, namespaces }) {
      const filter = { ...NO_NAMES, between, servers, namespaces };
      const wanted = findWanted(database, filter);
      const conditions = timeConditions(filter, 'g.time');
      if (wanted.places) conditions.sql.push('g.place IN (SELECT id FROM temp.wanted_places)');
      const found = database
        .prepare(
          `SELECT g.time AS time, g.seq AS seq, ${PLACE}, g.json AS json FROM gaps AS g
           JOIN segments ON segments.id = g.segment JOIN streams ON streams.id = segments.stream JOIN places ON places.id = g.place
           ${where(conditions)} ORDER BY g.time, stream, g.seq`,
        )
        .all(conditions.values);
      return found.map((row) => ({
        place: placeOf(row),
        stream: row['stream'] as string,
        seq: row['seq'] as number,
        time: formatMicros(row['time'] as number),
        gap: JSON.parse(row['json'] as string) as GapLine['gap'],
      }));
    },
  };
}

/** Exchanges with the words that are looked up one by one; of more, all calls are gone through in their order. */
const MANY = 20_000;

function isMany(database: DatabaseSync): boolean {
  return (database.prepare('SELECT count(*) AS n FROM temp.wanted_exchanges').get()?.['n'] as number) > MANY;
}

const NO_NAMES: Omit<Filter, 'between' | 'servers' | 'namespaces'> = {
  users: [],
  groups: [],
  tools: [],
  methods: [],
  sessions: [],
  outcomes: [],
  text: null,
};

function where({ sql }: Conditions): string {
  return sql.length === 0 ? '' : `WHERE ${sql.join(' AND ')}`;
}

function orderBy(table: string, order: Order, hasCalls: boolean): string {
  const way = order === 'newest' ? ' DESC' : '';
  return `ORDER BY ${table}.time${way}, streams.name${way}, ${table}.seq${way}${hasCalls ? `, ${table}.nth${way}` : ''}`;
}

/** Rows of several kinds, each in order, as one. */
function* merged(sources: readonly Iterable<Sorted>[], order: Order): Iterable<Row> {
  const heads = sources.map((source) => source[Symbol.iterator]());
  const next = heads.map((head) => head.next());
  const sign = order === 'newest' ? -1 : 1;
  try {
    for (;;) {
      let first = -1;
      let best = null as Sorted | null;
      for (const [index, { done, value }] of next.entries()) {
        if (done === true || (best !== null && sign * compare(value, best) >= 0)) continue;
        best = value;
        first = index;
      }
      if (best === null) return;
      yield best.row;
      next[first] = heads[first]?.next() as IteratorResult<Sorted, undefined>;
    }
  } finally {
    for (const head of heads) head.return?.();
  }
}

function compare(a: Sorted, b: Sorted): number {
  if (a.timeUs !== b.timeUs) return a.timeUs - b.timeUs;
  if (a.stream !== b.stream) return a.stream < b.stream ? -1 : 1;
  return a.seq - b.seq || a.nth - b.nth;
}
