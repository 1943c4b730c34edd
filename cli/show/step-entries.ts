/**
 * Owns what can be stepped through: a session's rows, or the calls of one exchange, and how each is opened.
 * Invariant: an entry is small, as all of a long session are held; what it tells in full is read when it is opened, and not kept here.
 */
import type { Filter } from '@mcp-recorder/recording/index/filter';
import type { Reader } from '@mcp-recorder/recording/index/reader';
import type { PlacedGap, Row } from '@mcp-recorder/recording/index/row';
import { NoWords, queryOfText } from '@mcp-recorder/recording/index/text';
import type { ReadExchange } from '@mcp-recorder/recording/read/exchange-reader';
import { type ExchangeView, viewOf } from '@mcp-recorder/recording/read/exchange-view';
import {
  describeBodies,
  describeChanges,
  describeOutcome,
  describePrincipal,
  describeStep,
  describeTarget,
  formatTime,
} from '../exchange-text.ts';
import { printableLine } from '../printable.ts';
import { describeGap } from '../search/print-rows.ts';
import { findGaps } from '../find-gaps.ts';
import { formatDuration } from '../table.ts';

export interface Entry {
  time: string;
  /** Null: there is nothing of it but `detail`. */
  exchange: { exchange: string; stream: string } | null;
  operation: string | null;
  who: string;
  what: string;
  outcome: string;
  took: string;
  /** What is told of what is no exchange. */
  detail: string | null;
}

export interface Entries {
  title: string;
  /** Oldest first. */
  list(): AsyncIterable<Entry>;
  /** What was not recorded in the time from one entry to another. */
  gaps(first: Entry, last: Entry): Promise<Entry[]>;
  /** Names (`nameOf`) of exchanges with these words in a body; null: there is no word to look for. */
  find(text: string): Promise<Set<string> | null>;
  /** Printable lines that tell all of an entry. */
  open(entry: Entry): Promise<string[]>;
}

/** More of one text is said to be cut. */
const MOST_SHOWN = { lines: 200_000, characters: 8 * 1024 * 1024 };

/** The steps of a session. */
export function entriesOfSession(
  reader: Reader,
  { session, filter }: { session: string; filter: Filter },
): Entries {
  /** The same few words stand on all rows of a session: each is held once. */
  const words = new Map<string, string>();
  const once = (word: string): string => {
    const held = words.get(word);
    if (held !== undefined) return held;
    if (words.size < 10_000) words.set(word, word);
    return word;
  };
  const servers = new Set<string>();
  const namespaces = new Set<string>();
  return {
    title: `Session ${session}`,
    async *list() {
      for await (const row of reader.search(filter, { limit: null, order: 'oldest' })) {
        servers.add(row.place.server);
        namespaces.add(row.place.namespace);
        yield entryOfRow(row, once);
      }
    },
    async gaps(first, last) {
      const between = { since: first.time, until: last.time };
      const gaps = await findGaps(reader, { between, servers: [...servers], namespaces: [...namespaces] });
      return gaps.map(entryOfGap);
    },
    async find(text) {
      if (!hasWords(text)) return null;
      const found = new Set<string>();
      for await (const { exchange, stream } of reader.search(
        { ...filter, text },
        { limit: null, order: 'oldest' },
      )) {
        if (exchange !== null) found.add(nameOf({ exchange, stream }));
      }
      return found;
    },
    async open(entry) {
      if (entry.exchange === null) return [entry.detail ?? ''];
      for await (const read of reader.readExchanges([entry.exchange]))
        return describeEntry(entry, viewOf(read));
      return ['No line of this exchange can be read.'];
    },
  };
}

/** The calls of an exchange; itself, when there is none in it. */
export function entriesOfExchange(read: ReadExchange): Entries {
  const view = viewOf(read);
  const { exchange, stream, principal, http } = view;
  const head = {
    exchange: { exchange, stream },
    who: principal === null ? '-' : printableLine(describePrincipal(principal)),
    detail: null,
  };
  const entries = view.steps.map(
    ({ time, call, result }): Entry => ({
      ...head,
      time,
      operation: call.operation,
      what: whatOf(call.method, call.target, call.sender),
      outcome: result === null ? '-' : printableLine(describeOutcome(result)),
      took: formatDuration(result?.duration_us ?? null),
    }),
  );
  const itself: Entry = {
    ...head,
    time: view.time,
    operation: null,
    what: printableLine([http.method, http.target].filter(Boolean).join(' ') || '-'),
    outcome: http.status === null ? '-' : `HTTP ${http.status}`,
    took: formatDuration(view.ended?.duration_us ?? null),
  };
  const texts = view.bodies.map(({ text }) => text?.toLowerCase() ?? '');
  return {
    title: `Exchange ${exchange}`,
    async *list() {
      yield* entries.length === 0 ? [itself] : entries;
    },
    gaps: async () => [],
    find: async (text) =>
      new Set(texts.some((body) => body.includes(text.toLowerCase())) ? [nameOf({ exchange, stream })] : []),
    open: async (entry) => describeEntry(entry, view),
  };
}

/** Tells exchanges of all streams apart. */
export function nameOf({ exchange, stream }: { exchange: string; stream: string }): string {
  return `${stream}/${exchange}`;
}

function entryOfRow(row: Row, once: (word: string) => string): Entry {
  const { exchange, stream, time, principal, call, result, outcome, http, cause } = row;
  const method = call?.method ?? result?.method ?? null;
  const target = call?.target ?? result?.target ?? null;
  const isCall = row.kind === 'request' || row.kind === 'notification';
  const came =
    result === null ? [outcome, cause && `(${cause})`].filter(Boolean).join(' ') : describeOutcome(result);
  const status = http?.status ?? null;
  const asked = [http?.method, http?.target].filter(Boolean).join(' ');
  return {
    time,
    exchange: exchange === null ? null : { exchange, stream },
    operation: call?.operation ?? null,
    who: once(principal === null ? '-' : printableLine(describePrincipal(principal))),
    what: once(
      isCall
        ? whatOf(method, target, call?.sender ?? result?.sender ?? 'client')
        : printableLine(row.kind === 'denied' ? `refused x${row.denied.count}` : asked || '-'),
    ),
    outcome: once(
      row.kind === 'exchange' ? (status === null ? '-' : `HTTP ${status}`) : printableLine(came || '-'),
    ),
    took: formatDuration(result?.duration_us ?? null),
    detail: exchange === null ? printableLine(detailOf(row)) : null,
  };
}

function detailOf(row: Row): string {
  if (row.kind !== 'denied') return 'The call is not in the recording: only its result is.';
  const { reason, source, count, first_time, last_time } = row.denied;
  return `Refused by the recorder: ${reason} (${source}), ${count} times from ${formatTime(first_time)} to ${formatTime(last_time)}.`;
}

function entryOfGap(gap: PlacedGap): Entry {
  const detail = printableLine(describeGap(gap));
  const { first_time, cause } = gap.gap;
  const outcome = printableLine(cause);
  return {
    time: first_time,
    exchange: null,
    operation: null,
    who: '-',
    what: 'not recorded (gap)',
    outcome,
    took: '-',
    detail,
  };
}

function whatOf(method: string | null, target: string | null, sender: 'client' | 'server'): string {
  return printableLine(`${describeTarget(method, target)}${sender === 'server' ? ' (server)' : ''}`);
}

function describeEntry({ operation, time }: Entry, view: ExchangeView): string[] {
  const { exchange, principal, http, ended } = view;
  const step = view.steps.find(({ call }) => call.operation === operation);
  return [
    ...[
      `Exchange  ${exchange}`,
      `When      ${formatTime(time)}${ended === null ? ', the exchange has not ended' : ''}`,
      `Who       ${principal === null ? 'the request is not in the recording' : describePrincipal(principal)}`,
      `HTTP      ${[http.method, http.target].filter(Boolean).join(' ') || 'request unknown'} -> ${http.status ?? 'no answer'}${view.answeredBy === 'recorder' ? ' by the recorder' : ''}`,
      ...describeChanges(view).map((change) => `Note      ${change}`),
    ].map(printableLine),
    '',
    ...(step === undefined ? describeBodies(view, MOST_SHOWN) : describeStep(step, view, MOST_SHOWN)),
  ];
}

function hasWords(text: string): boolean {
  try {
    queryOfText(text);
    return true;
  } catch (error) {
    if (error instanceof NoWords) return false;
    throw error;
  }
}
