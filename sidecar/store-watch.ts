/**
 * Owns what is known of the way to the object store: what worked last, what failed and since when. It looks by itself, by putting the
 * canary object conditionally, when no upload tells: while nothing is recorded, and while uploads fail or are not answered.
 * Invariants: trouble counts from the start of the attempt that failed, not from when that was noticed, and ends only with a success of the
 * same kind (an upload's success counts for both); at most MAX_LOOKS canaries are on their way at once.
 */
import { canaryKey } from '@mcp-recorder/recording/format/keys';
import { CANARY_BYTES, CANARY_SHA256 } from '@mcp-recorder/recording/store/canary';
import {
  type ObjectStore,
  StoreError,
  type StoreErrorCode,
  type StoreFacts,
} from '@mcp-recorder/recording/store/object-store';
import type { GateCause, StoreHealth } from './gate.ts';

/** One upload on its way. */
export interface Attempt {
  succeeded(): void;
  failed(error: unknown): void;
  /** It was called off: that says nothing about the store. */
  calledOff(): void;
}

export interface StoreProblem extends GateCause {
  /** Wall clock, ms. */
  timeMs: number;
}

export interface StoreWatch {
  /** Notes that an upload begins. */
  begin(): Attempt;
  /** What the probe found; null until it has succeeded. */
  readonly facts: StoreFacts | null;
  readonly lastProblem: StoreProblem | null;
  /** Wall clock (ms) of the last success; null = none since the start. */
  readonly lastSuccessMs: number | null;
  /** @param lagMs how far the store is behind the disk */
  health(lagMs: number): StoreHealth;
  /** Resolves when the first attempt has ended, well or not. */
  readonly proven: Promise<void>;
  close(): Promise<void>;
}

export interface StoreWatchOptions {
  store: ObjectStore;
  /** ms; sets how often an idle recorder looks. */
  maxUploadLagMs: number;
  /** Monotonic, ms. */
  nowMs(): number;
  /** Told of each failure. */
  onProblem(problem: StoreProblem): void;
  /** The store answers a look again after it had not: uploads that hang since before `sinceMs` may as well begin anew. */
  onReturn(sinceMs: number): void;
  /** Told after each success and failure. */
  onChange(): void;
}

/** How often it is decided whether to look (ms). */
const TICK_MS = 250;
/** While there is trouble, or an upload has had no answer for so long, it looks so often (ms). */
const LOOK_EVERY_MS = 1_000;
/** A look is given up after this (ms); its silence counts from its start. */
const LOOK_TIMEOUT_MS = 5_000;
const MAX_LOOKS = 5;
/** Without an answer for so long a look is called silent (ms). */
const SILENT_AFTER_MS = 500;
/** An idle recorder looks so often (ms), more often with a short bound. */
const IDLE_MS = 10_000;
const IDLE_SHARE = 1 / 3;

/** How long an idle recorder may not notice that the store is gone (ms). */
export function idleLookMs(maxUploadLagMs: number): number {
  return Math.max(LOOK_EVERY_MS, Math.min(IDLE_MS, maxUploadLagMs * IDLE_SHARE));
}

/** Begins to watch with a probe, which is repeated until it succeeds. */
export function createStoreWatch(options: StoreWatchOptions): StoreWatch {
  const { store, nowMs } = options;
  const stopped = new AbortController();
  const looks = new Map<number, Promise<void>>();
  const uploads = new Set<{ startMs: number }>();
  let nextLook = 0;
  let lastLookMs = Number.NEGATIVE_INFINITY;
  let facts: StoreFacts | null = null;
  /** Start of the oldest attempt that failed with no success of its kind since. */
  let uploadTroubleMs: number | null = null;
  let lookTroubleMs: number | null = null;
  /** Starts of looks without an answer so far, and with no success of anything that began later; oldest first. */
  let silent: number[] = [];
  let cause: GateCause | null = null;
  let lastProblem: StoreProblem | null = null;
  let succeededMs: number | null = null;
  let lastSuccessMs: number | null = null;
  let prove = (): void => {};
  const proven = new Promise<void>((resolve) => {
    prove = resolve;
  });

  function succeeded(startMs: number): void {
    succeededMs = nowMs();
    silent = silent.filter((start) => start > startMs);
    lastSuccessMs = Date.now();
    if (uploadTroubleMs === null && lookTroubleMs === null) cause = null;
    prove();
    options.onChange();
  }

  function failed(error: unknown): void {
    cause = causeOf(error);
    lastProblem = { ...cause, timeMs: Date.now() };
    options.onProblem(lastProblem);
    prove();
    options.onChange();
  }

  async function look(startMs: number): Promise<void> {
    const late = new AbortController();
    const timer = setTimeout(() => {
      late.abort(
        new StoreError('timeout', facts === null ? 'probe' : 'put', canaryKey(), SILENT_HINT, SILENCE),
      );
    }, LOOK_TIMEOUT_MS);
    const signal = AbortSignal.any([late.signal, stopped.signal]);
    silent.push(startMs);
    try {
      if (facts === null) facts = await store.probe(signal);
      else await store.putIfAbsent(canaryKey(), CANARY_BYTES, CANARY_SHA256, signal, false);
      const returned = lookTroubleMs !== null || (silent[0] as number) < startMs;
      lookTroubleMs = null;
      succeeded(startMs);
      if (returned) options.onReturn(startMs);
    } catch (error) {
      silent = silent.filter((start) => start !== startMs);
      if (stopped.signal.aborted) return;
      // A look that was overtaken by one that began later and succeeded says nothing about now.
      if (succeededMs === null || startMs > succeededMs || lookTroubleMs !== null) lookTroubleMs ??= startMs;
      failed(error);
    } finally {
      clearTimeout(timer);
    }
  }

  function isDue(): boolean {
    const now = nowMs();
    if (looks.size >= MAX_LOOKS) return false;
    if (now - lastLookMs < LOOK_EVERY_MS) return false;
    if (facts === null || uploadTroubleMs !== null || lookTroubleMs !== null || silent.length > 0)
      return true;
    for (const { startMs } of uploads) if (now - startMs > LOOK_EVERY_MS) return true;
    return now - (succeededMs ?? 0) >= idleLookMs(options.maxUploadLagMs) - TICK_MS;
  }

  function tick(): void {
    if (isDue()) {
      lastLookMs = nowMs();
      const number = nextLook++;
      looks.set(
        number,
        look(lastLookMs).finally(() => looks.delete(number)),
      );
    }
    options.onChange();
  }
  const timer = setInterval(tick, TICK_MS);
  // What it tells is not known to who made it yet.
  setImmediate(tick);

  return {
    begin() {
      const upload = { startMs: nowMs() };
      uploads.add(upload);
      return {
        succeeded() {
          uploads.delete(upload);
          const returned = lookTroubleMs !== null;
          uploadTroubleMs = null;
          lookTroubleMs = null;
          succeeded(upload.startMs);
          // The next look would find nothing amiss any more, and who pauses would wait out its pause.
          if (returned) options.onReturn(Number.NEGATIVE_INFINITY);
        },
        failed(error) {
          uploads.delete(upload);
          uploadTroubleMs ??= upload.startMs;
          failed(error);
        },
        calledOff: () => void uploads.delete(upload),
      };
    },
    get facts() {
      return facts;
    },
    get lastProblem() {
      return lastProblem;
    },
    get lastSuccessMs() {
      return lastSuccessMs;
    },
    health(lagMs) {
      const starts = [uploadTroubleMs, lookTroubleMs, silent[0] ?? null].filter((start) => start !== null);
      const failing = uploadTroubleMs !== null || lookTroubleMs !== null;
      // A look that has just begun is no silence: what is wrong then is something else.
      const isSilent = silent.length > 0 && nowMs() - (silent[0] as number) >= SILENT_AFTER_MS;
      return {
        troubleMs: starts.length === 0 ? 0 : nowMs() - Math.min(...starts),
        failing,
        lagMs,
        unproven: succeededMs === null,
        cause: failing ? cause : isSilent ? SILENT : null,
      };
    },
    proven,
    async close() {
      clearInterval(timer);
      stopped.abort();
      await Promise.all(looks.values());
    },
  };
}

const SILENT_HINT =
  'Look at the network between here and the store, and at the store itself: it takes connections and does not answer.';
const SILENCE = new Error(`no answer within ${LOOK_TIMEOUT_MS / 1000} s`);
const SILENT: GateCause = {
  reason: 'store_timeout',
  message: 'the store does not answer',
  hint: SILENT_HINT,
};

/** An error of the store as the gate's cause. */
function causeOf(error: unknown): GateCause {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof StoreError)) {
    return { reason: 'store_failed', message, hint: 'The recorder tries again; nothing is lost meanwhile.' };
  }
  const code: Exclude<StoreErrorCode, 'not_found'> = error.code === 'not_found' ? 'failed' : error.code;
  return { reason: `store_${code}`, message, hint: error.hint };
}
