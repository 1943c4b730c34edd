/**
 * Owns putting a segment into the index and taking it out again.
 * Invariant: a segment is in the index with all of its rows or with none; names are interned, and stay.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { SegmentKey } from '../format/keys.ts';
import type { Principal } from '../format/line.ts';
import type { SegmentFacts } from './segment-facts.ts';

/** A segment as the store lists it. */
export interface ListedSegment {
  key: string;
  place: SegmentKey;
  size: number;
  version: string | null;
}

/** What the index knows of a segment. */
export interface KnownSegment {
  id: number;
  key: string;
  size: number;
  version: string | null;
  /** CRC-32 of its decoded bytes. */
  checksum: number;
  /** The words of its bodies are in the index too. */
  hasText: boolean;
  /** Lines of it that could not be read. */
  problems: number;
}

/** What was read of a segment. */
export interface ReadFacts {
  segment: ListedSegment;
  checksum: number;
  facts: SegmentFacts;
  /** The facts hold texts. */
  hasText: boolean;
}

/** A line of a segment that could not be read. */
export interface LineProblem {
  index: number;
  /** The end of a sentence that begins with the line. */
  why: string;
}

export interface SegmentTable {
  /** The segment's row, or null. */
  find(place: SegmentKey): KnownSegment | null;
  /** `stream/number` and id of each segment whose first line is of these seconds. */
  between(fromSecond: string, toSecond: string): Map<string, { id: number; second: string }>;
  /** Replaces what is known of these segments, of all or of none. */
  put(segments: readonly ReadFacts[]): void;
  remove(id: number): void;
  /** Lines of the segment that could not be read. */
  problems(id: number): LineProblem[];
}

interface SegmentRow {
  id: number;
  name: string;
  number: number;
  second: string;
}

/** One name for a segment, whichever of its copies it was read from. */
export function identityOf({ stream, segment }: SegmentKey): string {
  return `${stream}/${segment}`;
}

/** @param check throws when the tables are not those any more that were opened */
export function createSegmentTable(database: DatabaseSync, check: () => void): SegmentTable {
  const prepare = (sql: string): StatementSync => database.prepare(sql);
  /** After a deletion from the full text what was inserted last is said to be a number that JavaScript does not have. */
  const prepareWrite = (sql: string): StatementSync => {
    const statement = prepare(sql);
    statement.setReadBigInts(true);
    return statement;
  };
  const place = interned(database, 'places', ['cluster', 'namespace', 'server']);
  const session = interned(database, 'sessions', ['name', 'how']);
  const insertPrincipal = prepareWrite(
    'INSERT OR IGNORE INTO principals (json, name, subject, client_id) VALUES (?, ?, ?, ?)',
  );
  const findPrincipal = prepare('SELECT id FROM principals WHERE json = ?');
  const insertStream = prepareWrite('INSERT OR IGNORE INTO streams (name, place) VALUES (?, ?)');
  const findStream = prepare('SELECT id FROM streams WHERE name = ?');
  const insertExchange = prepareWrite('INSERT OR IGNORE INTO exchanges (stream, name) VALUES (?, ?)');
  const findExchange = prepare('SELECT id FROM exchanges WHERE stream = ? AND name = ?');
  const findSegment = prepare(
    `SELECT segments.id, key, size, version, checksum, text, problems FROM segments JOIN streams ON streams.id = stream
     WHERE streams.name = ? AND number = ?`,
  );
  const listSegments = prepare(
    `SELECT segments.id, name, number, second FROM segments JOIN streams ON streams.id = stream
     WHERE second BETWEEN ? AND ?`,
  );
  const insertSegment = prepareWrite(
    'INSERT INTO segments (stream, number, key, second, size, version, checksum, text, problems) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
  );
  const insertPart = prepareWrite(`INSERT INTO parts VALUES (${marks(14)})`);
  const insertCall = prepareWrite(`INSERT INTO calls VALUES (${marks(17)})`);
  const insertResult = prepareWrite(`INSERT INTO results VALUES (${marks(20)})`);
  const insertDenial = prepareWrite(`INSERT INTO denials VALUES (${marks(6)})`);
  const insertGap = prepareWrite(`INSERT INTO gaps VALUES (${marks(5)})`);
  const insertBody = prepareWrite('INSERT INTO bodies (segment, exchange) VALUES (?, ?)');
  const insertWords = prepareWrite('INSERT INTO words (rowid, text) VALUES (?, ?)');
  const insertProblem = prepareWrite('INSERT INTO problems VALUES (?, ?, ?)');
  const findProblems = prepare('SELECT line, why FROM problems WHERE segment = ? ORDER BY line');
  const nameCallers = prepareWrite('UPDATE calls SET principal = ? WHERE exchange = ? AND principal IS NULL');
  const callerOf = prepare(
    'SELECT principal FROM parts WHERE exchange = ? AND time IS NOT NULL ORDER BY segment LIMIT 1',
  );
  const forgetCallers = prepareWrite(
    'UPDATE calls SET principal = NULL WHERE exchange IN (SELECT exchange FROM parts WHERE segment = ? AND time IS NOT NULL)',
  );
  const removals = [
    'DELETE FROM words WHERE rowid IN (SELECT id FROM bodies WHERE segment = ?)',
    ...['bodies', 'problems', 'gaps', 'denials', 'results', 'calls', 'parts'].map(
      (table) => `DELETE FROM ${table} WHERE segment = ?`,
    ),
    'DELETE FROM segments WHERE id = ?',
  ].map(prepareWrite);

  const principals = new Map<string, number>();
  function principalId(principal: Principal): number {
    const json = JSON.stringify(principal);
    let id = principals.get(json);
    if (id === undefined) {
      insertPrincipal.run(json, principal.name, principal.subject, principal.client_id);
      id = findPrincipal.get(json)?.['id'] as number;
      if (principals.size >= MAX_KNOWN) principals.clear();
      principals.set(json, id);
    }
    return id;
  }

  function exchangeIds(stream: number) {
    const ids = new Map<string, { id: number; isNew: boolean }>();
    return (name: string): { id: number; isNew: boolean } => {
      let found = ids.get(name);
      if (found === undefined) {
        const { changes, lastInsertRowid } = insertExchange.run(stream, name);
        const isNew = changes === 1n;
        const id = isNew ? Number(lastInsertRowid) : (findExchange.get(stream, name)?.['id'] as number);
        ids.set(name, (found = { id, isNew }));
      }
      return found;
    };
  }

  function addTexts(segment: number, stream: number, { texts }: SegmentFacts): void {
    const exchangeOf = exchangeIds(stream);
    for (const { exchange, text } of texts) {
      const { lastInsertRowid } = insertBody.run(segment, exchangeOf(exchange).id);
      insertWords.run(lastInsertRowid, text);
    }
  }

  function add({ segment: listed, checksum, facts, hasText }: ReadFacts): void {
    const { cluster, namespace, server, stream: name, second, segment: number } = listed.place;
    const at = place(cluster, namespace, server);
    insertStream.run(name, at);
    const stream = findStream.get(name)?.['id'] as number;
    const { lastInsertRowid } = insertSegment.run(
      stream,
      number,
      listed.key,
      second,
      listed.size,
      listed.version,
      checksum,
      hasText ? 1 : 0,
      facts.problems.length,
    );
    const segment = Number(lastInsertRowid);
    const exchangeOf = exchangeIds(stream);
    const callers = new Map<string, number>();
    const asking = new Set<string>();
    const called = new Set<string>();
    for (const { exchange, call } of facts.calls) {
      if (call.sender === 'client') asking.add(exchange);
      called.add(call.operation);
    }
    for (const [exchange, { request, session: best, status }] of facts.parts) {
      const { id, isNew } = exchangeOf(exchange);
      const http = request?.line.http;
      const principal = request === null ? null : principalId(request.line.principal);
      insertPart.run(
        id,
        segment,
        request?.timeUs ?? null,
        request?.line.seq ?? null,
        principal,
        http?.method ?? null,
        http?.target ?? null,
        http?.client_address ?? null,
        best === null ? null : session(best.session.id, best.session.how),
        best?.strength ?? null,
        best?.seq ?? null,
        status?.status ?? null,
        status?.seq ?? null,
        asking.has(exchange) ? 1 : 0,
      );
      if (principal === null) continue;
      callers.set(exchange, principal);
      // Calls of it in segments that were read before this one.
      if (!isNew) nameCallers.run(principal, id);
    }
    for (const { exchange, timeUs, seq, nth, call } of facts.calls) {
      const { id } = exchangeOf(exchange);
      const principal =
        callers.get(exchange) ?? (callerOf.get(id)?.['principal'] as number | null | undefined) ?? null;
      const { action, rule } = call.decision;
      insertCall.run(
        segment,
        id,
        timeUs,
        seq,
        at,
        nth,
        principal,
        call.operation,
        call.kind,
        call.sender,
        call.rpc_id,
        call.method,
        call.target,
        action,
        rule,
        call.continues,
        call.cut === undefined ? null : 1,
      );
    }
    for (const { timeUs, line } of facts.results) {
      insertResult.run(
        segment,
        line.exchange === null ? null : exchangeOf(line.exchange).id,
        line.part,
        timeUs,
        line.seq,
        at,
        line.operation,
        line.call_exchange,
        line.rpc_id,
        principalId(line.principal),
        line.session === undefined ? null : session(line.session.id, line.session.how),
        line.method,
        line.target,
        line.sender,
        line.outcome,
        line.cause,
        line.error_code,
        line.duration_us,
        line.cut === undefined ? null : 1,
        line.operation !== null && called.has(line.operation) ? 1 : 0,
      );
    }
    for (const { timeUs, seq, denied } of facts.denials) {
      const principal = denied.principal === null ? null : principalId(denied.principal);
      insertDenial.run(segment, timeUs, seq, at, principal, JSON.stringify(denied));
    }
    for (const { timeUs, seq, gap } of facts.gaps)
      insertGap.run(segment, timeUs, seq, at, JSON.stringify(gap));
    for (const { index, why } of facts.problems) insertProblem.run(segment, index, why);
    if (hasText) addTexts(segment, stream, facts);
  }

  function removeRows(id: number): void {
    forgetCallers.run(id);
    for (const removal of removals) removal.run(id);
  }

  function whole(work: () => void): void {
    database.exec('BEGIN IMMEDIATE');
    try {
      check();
      work();
      database.exec('COMMIT');
    } catch (error) {
      // Ids of names that were made here are none.
      for (const names of [principals, place.known, session.known]) names.clear();
      if (database.isTransaction) database.exec('ROLLBACK');
      throw error;
    }
  }

  const table: SegmentTable = {
    find({ stream, segment }) {
      const row = findSegment.get(stream, segment);
      if (row === undefined) return null;
      const { text, ...known } = row as unknown as Omit<KnownSegment, 'hasText'> & {
        text: number;
      };
      return { ...known, hasText: text === 1 };
    },
    between(fromSecond, toSecond) {
      const found = new Map<string, { id: number; second: string }>();
      for (const row of listSegments.iterate(fromSecond, toSecond)) {
        const { id, name, number, second } = row as unknown as SegmentRow;
        found.set(`${name}/${number}`, { id, second });
      }
      return found;
    },
    put(segments) {
      whole(() => {
        for (const read of segments) {
          const known = table.find(read.segment.place);
          if (known !== null) removeRows(known.id);
          add(read);
        }
      });
    },
    remove(id) {
      whole(() => removeRows(id));
    },
    problems(id) {
      return findProblems.all(id).map(({ line, why }) => ({ index: line as number, why: why as string }));
    },
  };
  return table;
}

/** Ids that are remembered of each kind of names: who calls with ever new names must not fill the memory. */
const MAX_KNOWN = 10_000;

/** Gives the id of a row with these texts, which is made where there is none. */
function interned(database: DatabaseSync, table: string, columns: readonly string[]) {
  const insert = database.prepare(
    `INSERT OR IGNORE INTO ${table} (${columns.join(', ')}) VALUES (${marks(columns.length)})`,
  );
  insert.setReadBigInts(true);
  const find = database.prepare(
    `SELECT id FROM ${table} WHERE ${columns.map((column) => `${column} = ?`).join(' AND ')}`,
  );
  const known = new Map<string, number>();
  const idOf = (...values: string[]): number => {
    const name = JSON.stringify(values);
    let id = known.get(name);
    if (id === undefined) {
      insert.run(...values);
      id = find.get(...values)?.['id'] as number;
      if (known.size >= MAX_KNOWN) known.clear();
      known.set(name, id);
    }
    return id;
  };
  return Object.assign(idOf, { known });
}

function marks(count: number): string {
  return Array.from({ length: count }, () => '?').join(', ');
}
