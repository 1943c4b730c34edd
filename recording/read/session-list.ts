/**
 * Owns the summary of a store by session: who talked to which server, when, and which tools they called.
 * Invariant: each exchange counts once, for the best-known session that any of its lines names; memory grows with sessions and with
 * exchanges that have not ended, never with lines.
 */
import {
  type ClientInfo,
  type Line,
  type Principal,
  type Session,
  SESSION_STRENGTH,
} from '../format/line.ts';
import type { ObjectStore } from '../store/object-store.ts';
import type { ExchangeLine } from './exchange-reader.ts';
import { readSegments, type Unreadable } from './store-reader.ts';
import { ALL_TIME, isWithin, secondsOf, type TimeRange } from './time-range.ts';

export interface ListSessionsOptions {
  /** Only exchanges with a line in this time; those are counted as far as they were read, from an hour before it. */
  between?: TimeRange;
  onUnreadable: (problem: Unreadable) => void;
  signal?: AbortSignal;
}

export interface SessionSummary {
  /** Null when no line of the exchanges names one. */
  session: Session | null;
  principal: Principal;
  cluster: string;
  namespace: string;
  server: string;
  /** Self-reported, when known. */
  client: ClientInfo | null;
  /** Times of the first and of the last line. */
  first: string;
  last: string;
  exchanges: number;
  /** Exchanges without an `end`: running, or cut off by the recorder's death. */
  openExchanges: number;
  /** `tools/call` requests by tool, most called first. */
  tools: { name: string; calls: number }[];
  /** Calls of further tools, past the hundred that are named. */
  otherCalls: number;
}

interface Facts {
  session: Session | null;
  principal: Principal | null;
  client: ClientInfo | null;
  first: string;
  last: string;
  tools: string[];
  ended: boolean;
  /** A line of it is in the time that was asked for. */
  within: boolean;
}

interface Group extends Omit<SessionSummary, 'tools'> {
  tools: Map<string, number>;
}

type Place = Pick<SessionSummary, 'cluster' | 'namespace' | 'server'>;

const MAX_TOOLS = 100;
const NOBODY: Principal = {
  how: 'unverified',
  issuer: null,
  subject: null,
  name: null,
  client_id: null,
  groups: [],
};

/**
 * All sessions of a store, the first to begin first. Denied requests and gaps belong to no session.
 * @throws StoreError when the store itself can't be read
 */
export async function listSessions(
  store: ObjectStore,
  options: ListSessionsOptions,
): Promise<SessionSummary[]> {
  const { between = ALL_TIME, ...reading } = options;
  const groups = new Map<string, Group>();
  const running = new Map<string, { place: Place; facts: Facts }>();
  for await (const { segment, lines } of readSegments(store, { ...reading, ...secondsOf(between) })) {
    const { cluster, namespace, server } = segment.place;
    const place = { cluster, namespace, server };
    for (const { line } of lines()) {
      if (!isExchangeLine(line) || line.exchange === null) continue;
      const id = `${line.stream}/${line.exchange}`;
      const facts = running.get(id)?.facts ?? startFacts(line);
      gather(facts, line);
      facts.within ||= isWithin(line.time, between);
      if (facts.ended) {
        running.delete(id);
        if (facts.within) count(groups, place, facts);
      } else {
        running.set(id, { place, facts });
      }
    }
  }
  for (const { place, facts } of running.values()) {
    if (facts.within) count(groups, place, facts);
  }
  return [...groups.values()].map(summaryOf).toSorted((a, b) => (a.first < b.first ? -1 : 1));
}

function isExchangeLine(line: Line): line is ExchangeLine {
  return 'exchange' in line;
}

function startFacts({ time }: Line): Facts {
  return {
    session: null,
    principal: null,
    client: null,
    first: time,
    last: time,
    tools: [],
    ended: false,
    within: false,
  };
}

function gather(facts: Facts, line: ExchangeLine): void {
  facts.last = line.time > facts.last ? line.time : facts.last;
  if (line.type === 'end') facts.ended = true;
  if (line.type === 'request') facts.principal = line.principal;
  // The request of a long stream may be too far back to be read; whose operation ended is known from its result.
  if (line.type === 'result' && line.call_exchange === line.exchange) facts.principal ??= line.principal;
  if (line.type === 'end' || line.type === 'result') return;
  if (line.session !== undefined && strengthOf(line.session) > strengthOf(facts.session)) {
    facts.session = line.session;
  }
  facts.client ??= line.client_info ?? null;
  for (const { kind, sender, method, target } of line.calls ?? []) {
    if (kind !== 'request' || sender !== 'client' || method !== 'tools/call') continue;
    facts.tools.push(target ?? '');
  }
}

function strengthOf(session: Session | null): number {
  return session === null ? -1 : SESSION_STRENGTH.indexOf(session.how);
}

function count(groups: Map<string, Group>, place: Place, facts: Facts): void {
  const { session, client, first, last } = facts;
  const principal = facts.principal ?? NOBODY;
  const { how, issuer, subject } = principal;
  const key = JSON.stringify([place, session, how, issuer, subject]);
  let group = groups.get(key);
  if (group === undefined) {
    group = {
      session,
      principal,
      ...place,
      client,
      first,
      last,
      exchanges: 0,
      openExchanges: 0,
      tools: new Map(),
      otherCalls: 0,
    };
    groups.set(key, group);
  }
  group.exchanges += 1;
  if (!facts.ended) group.openExchanges += 1;
  group.client ??= client;
  if (first < group.first) group.first = first;
  if (last > group.last) group.last = last;
  for (const tool of facts.tools) {
    const calls = group.tools.get(tool);
    if (calls === undefined && group.tools.size >= MAX_TOOLS) group.otherCalls += 1;
    else group.tools.set(tool, (calls ?? 0) + 1);
  }
}

function summaryOf(group: Group): SessionSummary {
  const tools = [...group.tools].map(([name, calls]) => ({ name, calls }));
  return { ...group, tools: tools.toSorted((a, b) => b.calls - a.calls || (a.name < b.name ? -1 : 1)) };
}
