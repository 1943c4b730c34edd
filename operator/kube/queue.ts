/**
 * Owns the work that is to be done, by key: what waits, what runs, what is tried again and when.
 * Invariants: one run of a key at a time; a key that is added while it runs runs once more; no add is lost; failures of a key wait longer each time.
 */
import { type BackoffRange, backoffMs } from './backoff.ts';
import { type Clock, systemClock } from './clock.ts';
import { isKubeError } from './kube-error.ts';

export interface QueueOptions {
  /**
   * Does the work of a key. A rejection is tried again, later each time.
   * @param signal aborts when the queue closes
   * @returns in how many milliseconds the key is to run again of itself; null: only when it is added
   */
  reconcile(key: string, signal: AbortSignal): Promise<number | null>;
  /** At most so many keys at once. */
  concurrency: number;
  /** Default: 0.2 s to a minute. */
  retry?: BackoffRange;
  /** A run failed; the key runs again in `waitMs`. @param failures in a row */
  failed(key: string, error: unknown, failures: number, waitMs: number): void;
  /** A run began, after `waitedMs` of waiting for its turn. */
  began?(key: string, waitedMs: number): void;
  ended?(key: string, tookMs: number, outcome: 'done' | 'failed'): void;
  clock?: Clock;
  random?(): number;
}

export interface Queue {
  /** The key runs as soon as there is room. */
  add(key: string): void;
  /** The key runs after the time, whatever it does before. Asked again, the earlier time counts. */
  addAfter(key: string, ms: number): void;
  /** Keys that wait for room. */
  readonly depth: number;
  readonly running: number;
  /** Keys whose last run failed. */
  readonly failing: number;
  /** Begins nothing more, and resolves when what runs has ended. */
  close(): Promise<void>;
}

const RETRY: BackoffRange = { firstMs: 200, longestMs: 60_000 };

interface Timer {
  atMs: number;
  cancel(): void;
}

interface Entry {
  /** Waits for room since then; null: it does not wait. */
  readyMs: number | null;
  running: boolean;
  failures: number;
  /** What its last run asked for: a repetition, or another attempt. The next run, whatever causes it, settles it. */
  own: Timer | null;
  /** What was asked by `addAfter`. */
  asked: Timer | null;
}

export function createQueue(options: QueueOptions): Queue {
  const { reconcile, concurrency, retry = RETRY, clock = systemClock, random = Math.random } = options;
  const entries = new Map<string, Entry>();
  /** In the order of their turn. */
  const ready = new Set<string>();
  const stop = new AbortController();
  let running = 0;
  let failing = 0;
  const { promise: idle, resolve: becomeIdle } = Promise.withResolvers<void>();

  function entryOf(key: string): Entry {
    let entry = entries.get(key);
    if (entry === undefined) {
      entry = { readyMs: null, running: false, failures: 0, own: null, asked: null };
      entries.set(key, entry);
    }
    return entry;
  }

  function add(key: string): void {
    if (stop.signal.aborted) return;
    const entry = entryOf(key);
    if (entry.readyMs !== null) return;
    entry.readyMs = clock.nowMs();
    // While it runs it has no turn: its end gives it one.
    if (entry.running) return;
    ready.add(key);
    begin();
  }

  function timer(ms: number, action: () => void): Timer {
    return { atMs: clock.nowMs() + ms, cancel: clock.after(ms, action) };
  }

  function begin(): void {
    while (running < concurrency && ready.size > 0 && !stop.signal.aborted) {
      const key = ready.values().next().value as string;
      ready.delete(key);
      void run(key, entryOf(key));
    }
  }

  async function run(key: string, entry: Entry): Promise<void> {
    const startMs = clock.nowMs();
    const waitedMs = startMs - (entry.readyMs ?? startMs);
    entry.readyMs = null;
    entry.running = true;
    entry.own?.cancel();
    entry.own = null;
    running += 1;
    options.began?.(key, waitedMs);
    let againMs: number | null = null;
    let failure: { error: unknown } | null = null;
    try {
      againMs = await reconcile(key, stop.signal);
    } catch (error) {
      failure = { error };
    }
    running -= 1;
    entry.running = false;
    settle(key, entry, failure, againMs);
    options.ended?.(key, clock.nowMs() - startMs, failure === null ? 'done' : 'failed');
    if (entry.readyMs !== null) ready.add(key);
    else if (entry.own === null && entry.asked === null) entries.delete(key);
    if (stop.signal.aborted && running === 0) becomeIdle();
    begin();
  }

  /** Counts the outcome, and sets the timer for what comes of it. */
  function settle(
    key: string,
    entry: Entry,
    failure: { error: unknown } | null,
    againMs: number | null,
  ): void {
    if (stop.signal.aborted) return;
    let waitMs = againMs;
    if (failure === null) {
      if (entry.failures > 0) failing -= 1;
      entry.failures = 0;
    } else {
      if (entry.failures === 0) failing += 1;
      entry.failures += 1;
      const { error } = failure;
      const askedMs = isKubeError(error) ? (error.retryAfterMs ?? 0) : 0;
      waitMs = Math.max(backoffMs(entry.failures, retry, random), askedMs);
      options.failed(key, error, entry.failures, waitMs);
    }
    if (waitMs === null) return;
    entry.own = timer(waitMs, () => {
      entry.own = null;
      add(key);
    });
  }

  return {
    add,
    addAfter(key, ms) {
      if (stop.signal.aborted) return;
      const entry = entryOf(key);
      if (entry.asked !== null && entry.asked.atMs <= clock.nowMs() + ms) return;
      entry.asked?.cancel();
      entry.asked = timer(ms, () => {
        entry.asked = null;
        add(key);
      });
    },
    get depth() {
      return ready.size;
    },
    get running() {
      return running;
    },
    get failing() {
      return failing;
    },
    close() {
      stop.abort();
      ready.clear();
      for (const { own, asked } of entries.values()) {
        own?.cancel();
        asked?.cancel();
      }
      if (running === 0) becomeIdle();
      return idle;
    },
  };
}
