/**
 * Owns what is known of the way to the object store: what worked last, what failed and since when. It looks by itself, by putting the
 * canary object conditionally, when no upload tells: while nothing is recorded, and while uploads fail or are not answered.
 * Invariants: trouble counts from the start of the attempt that failed, not from when that was noticed, and ends only with a success of the
 * same kind (an upload's success counts for both); at most MAX_LOOKS looks are on their way at once.
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
  /** What the store does for objects; null until that was found out. */
  readonly facts: StoreFacts | null;
  readonly lastProblem: StoreProblem | null;
  /** Wall clock (ms) of the last success; null = none since the start. */
  readonly lastSuccessMs: number | null;
  /** @param lagMs how far the store is behind the disk */
  health(lagMs: number): StoreHealth;
  /** Resolves when the first attempt has ended, well or not. */
  readonly firstAnswer: Promise<void>;
  close(): Promise<void>;
}

export interface StoreWatchOptions {
  store: ObjectStore;
  /** The bound in force (ms); sets how often an idle recorder looks. */
  maxUploadLagMs(): number;
  /** Monotonic, ms. */
  nowMs(): number;
  /** Told of each failure. */
  onProblem(problem: StoreProblem): void;
  /** The store takes a look again after it had not. @param hung it had not even answered: what is on its way may wait for ever */
  onReturn(hung: boolean): void;
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
/** The probe is several requests; it is given up, and repeated, after this (ms). */
const PROBE_TIMEOUT_MS = 30_000;
/** Without an answer for so long a look is called silent (ms). */
const SILENT_AFTER_MS = 500;
/** An idle recorder looks so often (ms), more often with a short bound. */
const IDLE_MS = 10_000;
const IDLE_SHARE = 1 / 3;

/** How long an idle recorder may not notice that the store is gone (ms). */
export function idleLookMs(maxUploadLagMs: number): number {
  return Math.max(LOOK_EVERY_MS, Math.min(IDLE_MS, maxUploadLagMs * IDLE_SHARE));
}

/** Begins to watch at once; what the store does for objects is found out once it has taken one. */
export function createStoreWatch(options: StoreWatchOptions): StoreWatch {
  const { store, nowMs } = options;
  const stopped = new AbortController();
  const looks = new Set<Promise<void>>();
  const uploads = new Set<{ startMs: number }>();
  let lastLookMs = Number.NEGATIVE_INFINITY;
  let probing: Promise<void> | null = null;
  let lastProbeMs = Number.NEGATIVE_INFINITY;
  let facts: StoreFacts | null = null;
  /** Start of the oldest attempt of its kind that failed with no success of its kind since. */
  let uploadTroubleMs: number | null = null;
  let lookTroubleMs: number | null = null;
  /** Whether a look of that trouble was never answered. */
  let wasSilent = false;
  let lastLookSuccessMs = Number.NEGATIVE_INFINITY;
  let lastUploadSuccessMs = Number.NEGATIVE_INFINITY;
  /** Starts of looks without an answer so far, and with no success of anything that began later; oldest first. */
  let silent: number[] = [];
  let cause: GateCause | null = null;
  let lastProblem: StoreProblem | null = null;
  let succeededMs: number | null = null;
  let lastSuccessMs: number | null = null;
  const first = Promise.withResolvers<void>();

  function succeeded(startMs: number): void {
    succeededMs = nowMs();
    silent = silent.filter((start) => start > startMs);
    lastSuccessMs = Date.now();
    if (uploadTroubleMs === null && lookTroubleMs === null) cause = null;
    first.resolve();
    options.onChange();
  }

  function tellProblem(error: unknown): GateCause {
    const found = causeOf(error);
    lastProblem = { ...found, timeMs: Date.now() };
    options.onProblem(lastProblem);
    return found;
  }

  function failed(error: unknown): void {
    cause = tellProblem(error);
    first.resolve();
    options.onChange();
  }

  async function look(startMs: number): Promise<void> {
    silent.push(startMs);
    const limit = limited('put', LOOK_TIMEOUT_MS);
    try {
      await store.putIfAbsent(canaryKey(), CANARY_BYTES, CANARY_SHA256, limit.signal, false);
      lastLookSuccessMs = nowMs();
      const hung = wasSilent || (silent[0] as number) < startMs;
      const returned = hung || lookTroubleMs !== null;
      lookTroubleMs = null;
      wasSilent = false;
      succeeded(startMs);
      if (returned) options.onReturn(hung);
    } catch (error) {
      silent = silent.filter((start) => start !== startMs);
      if (stopped.signal.aborted) return;
      // A look that was overtaken by one that began later and succeeded says nothing about now.
      if (succeededMs !== null && startMs <= succeededMs && lookTroubleMs === null) return;
      lookTroubleMs ??= startMs;
      wasSilent ||= limit.isOver();
      failed(error);
    } finally {
      limit.end();
    }
  }

  /** Finds out what the store does for objects: several requests, which say nothing about its health. */
  async function findFacts(): Promise<void> {
    lastProbeMs = nowMs();
    const limit = limited('probe', PROBE_TIMEOUT_MS);
    try {
      facts = await store.probe(limit.signal);
    } catch (error) {
      if (!stopped.signal.aborted) tellProblem(error);
    } finally {
      limit.end();
    }
  }

  /** A signal that ends a request when the watch ends, or when it has taken too long. */
  function limited(operation: 'put' | 'probe', afterMs: number) {
    const late = new AbortController();
    const silence = new Error(`no answer within ${afterMs / 1000} s`);
    const timer = setTimeout(
      () => late.abort(new StoreError('timeout', operation, canaryKey(), SILENT_HINT, silence)),
      afterMs,
    );
    return {
      signal: AbortSignal.any([late.signal, stopped.signal]),
      isOver: () => late.signal.aborted,
      end: () => clearTimeout(timer),
    };
  }

  function isDue(): boolean {
    const now = nowMs();
    if (looks.size >= MAX_LOOKS || now - lastLookMs < LOOK_EVERY_MS) return false;
    if (succeededMs === null || uploadTroubleMs !== null || lookTroubleMs !== null || silent.length > 0)
      return true;
    for (const { startMs } of uploads) if (now - startMs > LOOK_EVERY_MS) return true;
    return now - succeededMs >= idleLookMs(options.maxUploadLagMs()) - TICK_MS;
  }

  function tick(): void {
    if (isDue()) {
      lastLookMs = nowMs();
      const looking = look(lastLookMs).finally(() => looks.delete(looking));
      looks.add(looking);
    }
    if (facts === null && succeededMs !== null && nowMs() - lastProbeMs >= PROBE_TIMEOUT_MS) {
      probing = findFacts();
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
          lastUploadSuccessMs = nowMs();
          const returned = lookTroubleMs !== null;
          uploadTroubleMs = null;
          lookTroubleMs = null;
          const hung = wasSilent;
          wasSilent = false;
          succeeded(upload.startMs);
          // The next look would find nothing amiss any more, and who pauses would wait out its pause.
          if (returned) options.onReturn(hung);
        },
        failed(error) {
          uploads.delete(upload);
          // Others succeeded while this one was on its way: there was no trouble before.
          uploadTroubleMs ??= Math.max(upload.startMs, lastUploadSuccessMs);
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
      const starts = [lookTroubleMs, silent[0] ?? null];
      // While looks succeed the way is free: an object that can't be stored shows in how far the store is behind.
      if (uploadTroubleMs !== null && lastLookSuccessMs < uploadTroubleMs) starts.push(uploadTroubleMs);
      const counted = starts.filter((start) => start !== null);
      const failing = uploadTroubleMs !== null || lookTroubleMs !== null;
      // A look that has just begun is no silence: what is wrong then is something else.
      const isSilent = silent.length > 0 && nowMs() - (silent[0] as number) >= SILENT_AFTER_MS;
      return {
        troubleMs: counted.length === 0 ? 0 : nowMs() - Math.min(...counted),
        failing,
        lagMs,
        unproven: succeededMs === null,
        cause: failing ? cause : isSilent ? SILENT : null,
      };
    },
    firstAnswer: first.promise,
    async close() {
      clearInterval(timer);
      stopped.abort();
      await Promise.all([...looks, probing]);
    },
  };
}

const SILENT_HINT =
  'Look at the network between here and the store, and at the store itself: it takes connections and does not answer.';
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
