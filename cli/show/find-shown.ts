/**
 * Owns what an id names: an exchange, a session, or the beginning of one.
 * Invariant: of several sessions none is chosen; they are listed.
 */
import { isUlid } from '@mcp-recorder/recording/format/ulid';
import { EVERYTHING, type Filter } from '@mcp-recorder/recording/index/filter';
import type { Reader } from '@mcp-recorder/recording/index/reader';
import { findLastExchange } from '@mcp-recorder/recording/read/exchange-reader';
import type { TimeRange } from '@mcp-recorder/recording/read/time-range';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { CommandFailure, EXIT } from '../failure.ts';
import { printableLine } from '../printable.ts';
import { inThatTime } from '../time-options.ts';
import { reportUnreadable } from '../unreadable.ts';

export type Named = { exchange: string } | { session: string; filter: Filter };

/** A session, or how it begins. */
const SESSION = /^h:[0-9a-f]{1,32}$/;
const SESSION_LENGTH = 34;
const MOST_NAMED = 20;

/** @throws CommandFailure when it can be the id of nothing */
export function checkId(id: string, { since, until }: TimeRange): void {
  const isExchange: boolean = isUlid(id);
  if (!isExchange) {
    if (SESSION.test(id)) return;
    throw new CommandFailure(
      `${JSON.stringify(id)} is no id: an exchange has 26 letters and digits, a session begins with "h:". "mcp-recorder search" finds both.`,
    );
  }
  if (since === null && until === null) return;
  throw new CommandFailure(
    '--since and --until go with --last, a session or the list, not with an exchange.',
  );
}

/**
 * What is to be shown; null when there is none, or not one, which has been said.
 * @param id null: the exchange that began last
 */
export async function findShown(
  reader: Reader,
  store: ObjectStore,
  id: string | null,
  between: TimeRange,
): Promise<Named | null> {
  if (id === null) {
    const last = await findLastExchange(store, { onUnreadable: reportUnreadable, between });
    if (last !== null) return { exchange: last };
    sayNone('No exchange', store, between);
    return null;
  }
  const isExchange: boolean = isUlid(id);
  if (isExchange) return { exchange: id };
  const filter = { ...EVERYTHING, between, sessions: [id] };
  const sessions = new Set<string>();
  const isWhole = id.length === SESSION_LENGTH;
  for await (const { session } of reader.search(filter, { limit: isWhole ? 1 : null, order: 'oldest' })) {
    if (session !== null) sessions.add(session.id);
    if (sessions.size > MOST_NAMED) break;
  }
  const [session] = sessions;
  if (session === undefined) {
    sayNone(`No session ${id}`, store, between);
    return null;
  }
  if (sessions.size === 1) return { session, filter: { ...filter, sessions: [session] } };
  process.exitCode = EXIT.no;
  const named = [...sessions].slice(0, MOST_NAMED);
  const more = sessions.size > MOST_NAMED ? ['...'] : [];
  process.stdout.write(`${[`Several sessions begin with ${id}:`, ...named, ...more].join('\n')}\n`);
  return null;
}

export function sayNone(what: string, { location }: ObjectStore, between: TimeRange): void {
  process.exitCode = EXIT.no;
  process.stdout.write(`${printableLine(`${what} in ${location}${inThatTime(between)}.`)}\n`);
}
