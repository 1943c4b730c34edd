/**
 * Owns the rows of a search as they are printed: those of which `--where` is true, no more than asked for.
 * Invariants: only as much is read as the answer takes; whether there are more is known, unless the reading was interrupted.
 */
import { setImmediate } from 'node:timers/promises';
import type { Filter } from '@mcp-recorder/recording/index/filter';
import type { Reader } from '@mcp-recorder/recording/index/reader';
import type { Row } from '@mcp-recorder/recording/index/row';
import type { Where } from '../where.ts';

export interface Search {
  filter: Filter;
  where: Where | null;
  /** Null: all. */
  limit: number | null;
  signal: AbortSignal;
}

/** How the rows ended. */
export interface End {
  /** Whether more rows match than were given; null: not known. */
  more: boolean | null;
  where: Where | null;
}

/** Rows that are looked at first for a limit, and how many times more each time that they were too few. */
const FIRST_LOOK = 1_000;
const LOOK_FURTHER = 8;
/** Rows that are held at most while more are looked at. */
const MOST_HELD = 1_000;
/** Rows between two chances for Ctrl-C to be heard. */
const BREATHE_EVERY = 256;

/** The rows, newest first. @throws StoreError */
export async function* findRows(reader: Reader, search: Search): AsyncGenerator<Row, End> {
  const { filter, where, limit } = search;
  if (where === null)
    return yield* upTo(reader.search(filter, { limit: oneMore(limit), order: 'newest' }), search);
  if (limit === null || limit > MOST_HELD) {
    return yield* upTo(reader.search(filter, { limit: null, order: 'newest' }), search);
  }
  // How many rows it takes is not known before: as few are looked at as will do, because each may have to be read from the store.
  for (let look: number | null = FIRST_LOOK; ; look = look === null ? null : look * LOOK_FURTHER) {
    const again = { ...search, where: where.again() };
    let looked = 0;
    const rows = counted(reader.search(filter, { limit: look, order: 'newest' }), () => (looked += 1));
    const held: Row[] = [];
    const found = upTo(rows, again);
    let step = await found.next();
    for (; step.done !== true; step = await found.next()) held.push(step.value);
    const isAll = look === null || looked < look;
    if (step.value.more === true || isAll || search.signal.aborted) {
      yield* held;
      return search.signal.aborted
        ? { ...step.value, more: step.value.more === true ? true : null }
        : step.value;
    }
  }
}

/** The first of the rows that match. */
async function* upTo(rows: AsyncIterable<Row>, { where, limit, signal }: Search): AsyncGenerator<Row, End> {
  let given = 0;
  let looked = 0;
  let wasAborted: boolean | null = null;
  for await (const row of rows) {
    // Interrupted while the store was read: what is known is given. Interrupted later: it was given.
    wasAborted ??= signal.aborted;
    if (signal.aborted && !wasAborted) return { more: null, where };
    looked += 1;
    if (looked % BREATHE_EVERY === 0) await setImmediate();
    if (where !== null && !where.matches(row)) continue;
    if (given === limit) return { more: true, where };
    given += 1;
    yield row;
  }
  return { more: signal.aborted ? null : false, where };
}

function oneMore(limit: number | null): number | null {
  return limit === null ? null : limit + 1;
}

async function* counted<Item>(items: AsyncIterable<Item>, tick: () => void): AsyncIterable<Item> {
  for await (const item of items) {
    tick();
    yield item;
  }
}
