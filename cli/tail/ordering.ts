/**
 * Owns the order in which lines are shown that come twice and on two ways: of each stream by `seq`, each once.
 * Invariants: a line that was offered is shown, now or when those before it have come; what is waited for in vain is said to be missing, and
 * is shown after all if it comes; what is held is bounded.
 */
import type { Place } from '@mcp-recorder/recording/index/row';
import { createRanges, type Ranges } from './ranges.ts';

/** A recorded line on its way to be shown. */
export interface Entry {
  place: Place;
  stream: string;
  seq: number;
  /** Without line feed. */
  bytes: Buffer;
}

export interface OrderingOptions {
  show(entry: Entry): void;
  /** Lines `from` up to and without `end` did not come. */
  missing(stream: string, from: number, end: number): void;
  nowMs(): number;
  /** How long a hole is waited for; 0: nothing could fill it. */
  waitMs: number;
}

export interface Ordering {
  /** Where a stream begins for us, unless it is known. @param hard what is before was recorded before we asked, and is not shown */
  begin(stream: string, seq: number, hard: boolean): void;
  knows(stream: string): boolean;
  /** Whether a line with this `seq` would have to wait. */
  mustWait(stream: string, seq: number): boolean;
  /** A line waits elsewhere for those before it. */
  waits(stream: string, seq: number): void;
  /** Whether lines of `from` up to and without `end` were all shown. */
  wereShown(stream: string, from: number, end: number): boolean;
  offer(entry: Entry): void;
  /** Says what has been waited for too long. */
  tick(): void;
}

interface Stream {
  shown: Ranges;
  /** The first that was neither shown nor given up. */
  next: number;
  held: Map<number, Entry>;
  heldBytes: number;
  /** The least that waits, here or elsewhere. */
  waiting: number | null;
  sinceMs: number;
}

/** Held for one stream at most, until the lines before have come; the store has them too. */
const MAX_HELD_BYTES = 8 * 1024 * 1024;
/** Streams that are remembered; the one that was silent for longest is forgotten first. */
const MAX_STREAMS = 10_000;

export function createOrdering({ show, missing, nowMs, waitMs }: OrderingOptions): Ordering {
  const streams = new Map<string, Stream>();

  function add(name: string, next: number): Stream {
    const stream: Stream = {
      shown: createRanges(),
      next,
      held: new Map(),
      heldBytes: 0,
      waiting: null,
      sinceMs: 0,
    };
    streams.set(name, stream);
    const [oldest] = streams.keys();
    if (streams.size > MAX_STREAMS && oldest !== undefined) streams.delete(oldest);
    return stream;
  }

  function wait(stream: Stream, seq: number): void {
    if (stream.waiting === null) stream.sinceMs = nowMs();
    stream.waiting = Math.min(stream.waiting ?? seq, seq);
  }

  function giveOut(stream: Stream, entry: Entry): void {
    stream.shown.add(entry.seq, entry.seq + 1);
    show(entry);
  }

  /** Shows what has waited for `next`. */
  function goOn(stream: Stream): void {
    for (;;) {
      const entry = stream.held.get(stream.next);
      if (entry !== undefined) {
        stream.held.delete(stream.next);
        stream.heldBytes -= entry.bytes.length;
        giveOut(stream, entry);
      } else if (!stream.shown.has(stream.next)) break;
      stream.next += 1;
    }
    if (stream.waiting === null || stream.waiting > stream.next) return;
    stream.waiting = null;
    // Behind the next hole more may wait.
    if (stream.held.size > 0) wait(stream, Math.min(...stream.held.keys()));
  }

  function giveUp(name: string, stream: Stream): void {
    const { waiting, next } = stream;
    if (waiting === null) return;
    if (waiting > next) missing(name, next, waiting);
    stream.next = Math.max(next, waiting);
    goOn(stream);
    if (stream.waiting !== null && stream.waiting <= stream.next) stream.waiting = null;
  }

  return {
    begin(name, seq, hard) {
      if (streams.has(name)) return;
      const stream = add(name, seq);
      if (hard) stream.shown.add(0, seq);
    },
    knows: (name) => streams.has(name),
    mustWait: (name, seq) => seq > (streams.get(name)?.next ?? seq),
    waits(name, seq) {
      const stream = streams.get(name);
      if (stream !== undefined) wait(stream, seq);
    },
    wereShown: (name, from, end) => streams.get(name)?.shown.hasAll(from, end) === true,
    offer(entry) {
      const { seq, stream: name } = entry;
      const stream = streams.get(name) ?? add(name, seq);
      // The last in the map is the one that spoke last.
      streams.delete(name);
      streams.set(name, stream);
      if (stream.shown.has(seq) || stream.held.has(seq)) return;
      if (seq < stream.next) return giveOut(stream, entry);
      if (seq > stream.next) {
        wait(stream, seq);
        stream.heldBytes += entry.bytes.length;
        stream.held.set(seq, entry);
        if (waitMs === 0) giveUp(name, stream);
        else if (stream.heldBytes > MAX_HELD_BYTES) {
          stream.held.clear();
          stream.heldBytes = 0;
        }
        return;
      }
      giveOut(stream, entry);
      stream.next += 1;
      goOn(stream);
    },
    tick() {
      for (const [name, stream] of streams) {
        if (stream.waiting !== null && nowMs() - stream.sinceMs >= waitMs) giveUp(name, stream);
      }
    },
  };
}
