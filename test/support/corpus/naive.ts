/**
 * Owns the reading that any other must agree with: every line of a store, joined in memory as docs/recording-format.md says.
 * Invariant: it uses nothing of the index.
 */
import type {
  Line,
  RequestLine,
  ResponseLine,
  ResultLine,
  Session,
} from '@mcp-recorder/recording/format/line';
import type { Filter } from '@mcp-recorder/recording/index/filter';
import type { Row } from '@mcp-recorder/recording/index/row';
import { readSegments } from '@mcp-recorder/recording/read/store-reader';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';

interface NaiveExchange {
  place: Row['place'];
  lines: Line[];
}

/** A row with what its filter looks at beyond it: the words of each body that counts for it. */
export interface NaiveRow {
  row: Row;
  bodies: string[][];
  /** Place among the calls of its line. */
  nth: number;
}

const STRENGTH = ['address', 'client-info', 'trace', 'sse-endpoint', 'mcp-session-id'];

/** Reads everything. */
export async function readNaively(store: ObjectStore): Promise<NaiveRow[]> {
  const exchanges = new Map<string, NaiveExchange>();
  const results: { place: Row['place']; line: ResultLine }[] = [];
  const rows: NaiveRow[] = [];
  const onUnreadable = ({ message }: { message: string }) => {
    throw new Error(message);
  };
  for await (const { segment, lines } of readSegments(store, { onUnreadable })) {
    const { cluster, namespace, server } = segment.place;
    const place = { cluster, namespace, server };
    for (const { line } of lines()) {
      if (line.type === 'result') results.push({ place, line });
      if (line.type === 'denied') rows.push(deniedRow(place, line));
      if (!('exchange' in line) || line.exchange === null) continue;
      const of = exchanges.get(line.exchange) ?? { place, lines: [] };
      exchanges.set(line.exchange, of);
      of.lines.push(line);
    }
  }
  const answered = new Map(results.map((result) => [result.line.operation, result.line]));
  const called = new Set<string>();
  for (const [exchange, { place, lines }] of exchanges) {
    lines.sort((a, b) => a.seq - b.seq);
    const request = lines.find((line): line is RequestLine => line.type === 'request');
    const session = bestSession(lines);
    const status =
      lines.findLast((line): line is ResponseLine => line.type === 'response')?.http.status ?? null;
    const http =
      request === undefined
        ? null
        : {
            method: request.http.method,
            target: request.http.target,
            status,
            client_address: request.http.client_address,
          };
    const head = { place, exchange, session, http };
    const own = bodiesOf(lines);
    let asked = false;
    for (const line of lines) {
      for (const [nth, call] of ('calls' in line ? (line.calls ?? []) : []).entries()) {
        called.add(call.operation);
        if (call.sender === 'client') asked = true;
        const { stream, seq, time } = line;
        const at = { ...head, stream, seq, time, principal: request?.principal ?? null };
        if (call.kind === 'notification') {
          rows.push({
            nth,
            bodies: own,
            row: { ...at, kind: 'notification', call, result: null, outcome: null, cause: null },
          });
          continue;
        }
        const result = answered.get(call.operation) ?? null;
        const carried =
          result === null || result.exchange === null
            ? []
            : bodiesOf(exchanges.get(result.exchange)?.lines ?? []);
        rows.push({
          nth,
          bodies: [...own, ...carried],
          row: {
            ...at,
            principal: at.principal ?? result?.principal ?? null,
            kind: 'request',
            call,
            result,
            outcome: result?.outcome ?? 'unknown',
            cause: result === null ? 'no_result' : result.cause,
          },
        });
      }
    }
    if (request === undefined || asked) continue;
    const { stream, seq, time, principal } = request;
    rows.push({
      nth: 0,
      bodies: own,
      row: {
        ...head,
        stream,
        seq,
        time,
        principal,
        kind: 'exchange',
        call: null,
        result: null,
        outcome: null,
        cause: null,
      },
    });
  }
  for (const { place, line } of results) {
    if (line.operation !== null && called.has(line.operation)) continue;
    const { stream, seq, time, principal, session = null, outcome, cause } = line;
    const head = { place, stream, seq, time, exchange: null, principal, session, http: null };
    const bodies = line.exchange === null ? [] : bodiesOf(exchanges.get(line.exchange)?.lines ?? []);
    rows.push({
      nth: 0,
      bodies,
      row: { ...head, kind: 'request', call: null, result: line, outcome, cause },
    });
  }
  return rows.sort(byTime);
}

function deniedRow(
  place: Row['place'],
  { stream, seq, time, denied }: Extract<Line, { type: 'denied' }>,
): NaiveRow {
  const head = {
    place,
    stream,
    seq,
    time,
    exchange: null,
    principal: denied.principal,
    session: null,
    http: null,
  };
  const row: Row = {
    ...head,
    kind: 'denied',
    call: null,
    result: null,
    outcome: 'denied',
    cause: denied.reason,
    denied,
  };
  return { nth: 0, bodies: [], row };
}

function byTime(a: NaiveRow, b: NaiveRow): number {
  if (a.row.time !== b.row.time) return a.row.time < b.row.time ? -1 : 1;
  if (a.row.stream !== b.row.stream) return a.row.stream < b.row.stream ? -1 : 1;
  return a.row.seq - b.row.seq || a.nth - b.nth;
}

function bestSession(lines: readonly Line[]): Session | null {
  let best: Session | null = null;
  for (const line of lines) {
    const session = 'session' in line ? line.session : undefined;
    if (session === undefined) continue;
    if (best === null || STRENGTH.indexOf(session.how) > STRENGTH.indexOf(best.how)) best = session;
  }
  return best;
}

/** The words of each body, as a person would tell them. */
function bodiesOf(lines: readonly Line[]): string[][] {
  return lines.flatMap((line) => {
    if (!('body' in line) || line.body === null || line.body_encoding !== 'utf8') return [];
    return [wordsOf(line.body)];
  });
}

function wordsOf(text: string): string[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return splitWords(text);
  }
  return typeof value === 'object' && value !== null ? wordsIn(value) : splitWords(text);
}

function wordsIn(value: unknown): string[] {
  if (typeof value === 'string') return /^[[{]/.test(value) ? wordsOf(value) : splitWords(value);
  if (Array.isArray(value)) return value.flatMap(wordsIn);
  if (typeof value !== 'object' || value === null) return splitWords(String(value));
  return Object.entries(value).flatMap(([name, of]) => [...splitWords(name), ...wordsIn(of)]);
}

export function splitWords(text: string): string[] {
  const plain = text.normalize('NFD').replaceAll(/\p{M}/gu, '').toLowerCase();
  return plain.match(/[\p{L}\p{N}]+/gu) ?? [];
}

/** Whether a row is what the filter asks for. */
export function matchesNaively({ row, bodies }: NaiveRow, filter: Filter): boolean {
  const { principal, session, place, time, outcome } = row;
  const { since, until } = filter.between;
  const method = row.call?.method ?? row.result?.method ?? null;
  const target = row.call?.target ?? row.result?.target ?? null;
  const any = (patterns: readonly string[], ...names: (string | null | undefined)[]): boolean =>
    patterns.length === 0 || patterns.some((pattern) => names.some((name) => isLike(name, pattern)));
  return (
    (since === null || time >= since) &&
    (until === null || time < until) &&
    any(filter.users, principal?.name, principal?.subject, principal?.client_id) &&
    any(filter.groups, ...(principal?.groups ?? [])) &&
    any(filter.methods, method) &&
    (filter.tools.length === 0 || (method === 'tools/call' && any(filter.tools, target))) &&
    any(filter.servers, place.server) &&
    any(filter.namespaces, place.namespace) &&
    (filter.sessions.length === 0 ||
      filter.sessions.some((start) => session?.id.startsWith(start) === true)) &&
    (filter.outcomes.length === 0 || (outcome !== null && filter.outcomes.includes(outcome))) &&
    (filter.text === null || bodies.some((words) => hasAll(words, filter.text ?? '')))
  );
}

function isLike(name: string | null | undefined, pattern: string): boolean {
  if (name === null || name === undefined) return false;
  const parts = pattern.split('*').map((part) => part.replaceAll(/[\\^$.|?*+()[\]{}]/g, '\\$&'));
  return new RegExp(`^${parts.join('[^]*')}$`, 'u').test(name);
}

function hasAll(words: readonly string[], text: string): boolean {
  return [...text.matchAll(/"([^"]*)"|(\S+)/g)].every(([, phrase, word = '']) => {
    const isStart = phrase === undefined && word.endsWith('*');
    const wanted = splitWords(phrase ?? word);
    return words.some((_, at) =>
      wanted.every((one, n) =>
        isStart && n === wanted.length - 1 ? words[at + n]?.startsWith(one) === true : words[at + n] === one,
      ),
    );
  });
}
