/**
 * Owns a step-through as it goes on: which entries are known, which are listed, what of them is read, and what is shown.
 * Invariant: what is read in full is that of a few entries; keys are taken while the list is still being read.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describeFailure } from '../failure.ts';
import { printableLine } from '../printable.ts';
import { type Entries, type Entry, nameOf } from './step-entries.ts';
import { extentOf, fitBody, type FrameLine, frameOf, type Shown, type Size } from './step-frame.ts';
import { afterKey, AT_FIRST, type Key, type StepState, within } from './step-state.ts';

export interface StepModel {
  press(keys: readonly Key[], size: Size): void;
  frame(size: Size): FrameLine[];
  /** Grows with each change. */
  version(): number;
  subscribe(callBack: () => void): () => void;
  /** Resolves when the person quits. */
  ended: Promise<void>;
  /** No more is read. */
  close(): void;
}

/** Bodies that are kept; with them going back and forth needs no reading. */
const KEPT_BODIES = 4;
const BATCH = 500;

export interface StepModelOptions {
  entries: Entries;
  /** Something that is to be said beside what the model says. */
  notice(): string;
  /** An entry's body is shown for the first time. */
  onOpen(entry: Entry): void;
}

export function createStepModel({ entries: source, notice, onOpen }: StepModelOptions): StepModel {
  const all: Entry[] = [];
  /** Positions in `all`; null: all of them are listed. */
  let listed: number[] | null = null;
  let state: StepState = AT_FIRST;
  let loading = true;
  let problem = '';
  let closed = false;
  let version = 0;
  const listeners = new Set<() => void>();
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const bodies = new Map<Entry, readonly string[]>();
  let fitted: { of: readonly string[]; columns: number; lines: string[] } | null = null;
  let reading: Entry | null = null;
  /** Filters are numbered: which is wanted now, and which was answered last. */
  let searching = 0;
  let searched = 0;

  const changed = (): void => {
    version += 1;
    for (const listener of listeners) listener();
  };
  const count = (): number => listed?.length ?? all.length;
  const entryAt = (at: number): Entry | undefined => all[listed === null ? at : (listed[at] ?? -1)];

  const load = async (): Promise<void> => {
    try {
      let last = performance.now();
      for await (const entry of source.list()) {
        if (closed) return;
        all.push(entry);
        if (all.length > 1 && all.length % BATCH !== 0 && performance.now() - last < 100) continue;
        readBody();
        changed();
        await nextTurn();
        last = performance.now();
      }
      const [first, newest] = [all[0], all.at(-1)];
      if (first !== undefined && newest !== undefined) insert(await source.gaps(first, newest));
    } catch (error) {
      problem = describeFailure(error);
    }
    loading = false;
    readBody();
    changed();
  };
  const insert = (gaps: readonly Entry[]): void => {
    if (gaps.length === 0) return;
    const here = entryAt(state.at);
    all.push(...gaps);
    all.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
    if (listed !== null) filter();
    else if (here !== undefined) state = { ...state, at: all.indexOf(here) };
  };
  const loaded = load();

  const readBody = (): void => {
    const entry = entryAt(state.at);
    if (entry === undefined || reading !== null || bodies.has(entry) || closed) return;
    reading = entry;
    void keepBody(entry);
  };
  const keepBody = async (entry: Entry): Promise<void> => {
    let lines: string[];
    try {
      lines = await source.open(entry);
    } catch (error) {
      lines = [printableLine(`Can't be read: ${describeFailure(error)}`)];
    }
    reading = null;
    if (closed) return;
    onOpen(entry);
    bodies.set(entry, lines);
    for (const oldest of bodies.keys()) {
      if (bodies.size <= KEPT_BODIES) break;
      if (oldest !== entryAt(state.at)) bodies.delete(oldest);
    }
    readBody();
    changed();
  };

  const filter = (): void => {
    searching += 1;
    const mine = searching;
    const { filter: wanted } = state;
    if (wanted === '') {
      const here = entryAt(state.at);
      listed = null;
      if (here !== undefined) state = { ...state, at: all.indexOf(here) };
      return;
    }
    const list = (inBodies: ReadonlySet<string> | null): void => {
      const lower = wanted.toLowerCase();
      listed = [];
      for (const [at, entry] of all.entries()) {
        if (
          stands(entry, lower) ||
          (entry.exchange !== null && inBodies?.has(nameOf(entry.exchange)) === true)
        ) {
          listed.push(at);
        }
      }
      state = within(state, listed.length);
      readBody();
    };
    list(null);
    void listFound(wanted, mine, list);
  };
  /** One search at a time: the list itself comes of one. */
  const listFound = async (
    wanted: string,
    mine: number,
    list: (inBodies: ReadonlySet<string> | null) => void,
  ): Promise<void> => {
    try {
      await loaded;
      const found = mine === searching ? await source.find(wanted) : null;
      if (mine !== searching || closed) return;
      list(found);
      searched = mine;
    } catch (error) {
      problem = describeFailure(error);
    }
    changed();
  };

  const shown = ({ columns }: Size): Shown => {
    const entry = entryAt(state.at);
    const lines = entry === undefined ? null : (bodies.get(entry) ?? null);
    if (lines !== null && (fitted?.of !== lines || fitted.columns !== columns)) {
      fitted = { of: lines, columns, lines: fitBody(lines, columns) };
    }
    const doing = loading
      ? `reading ... ${all.length}`
      : listed !== null && searching > searched
        ? 'searching ...'
        : '';
    return {
      title: source.title,
      state,
      entries: count(),
      entry: entryAt,
      numberOf: (at) => (listed === null ? at : (listed[at] ?? 0)) + 1,
      body: lines === null ? null : (fitted?.lines ?? null),
      notice: [doing, problem, notice()].filter((text) => text !== '').join('; '),
    };
  };

  return {
    press(keys, size) {
      for (const key of keys) {
        const before = state.filter;
        state = afterKey(state, key, extentOf(shown(size), size));
        if (state.filter !== before) filter();
      }
      if (state.quit) end();
      readBody();
      changed();
    },
    frame: (size) => frameOf(shown(size), size),
    version: () => version,
    subscribe(callBack) {
      listeners.add(callBack);
      return () => void listeners.delete(callBack);
    },
    ended,
    close() {
      closed = true;
    },
  };
}

function stands({ what, who, outcome, exchange }: Entry, lower: string): boolean {
  return [what, who, outcome, exchange?.exchange ?? ''].some((text) => text.toLowerCase().includes(lower));
}
