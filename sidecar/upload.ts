/**
 * Owns the way of sealed objects from the spool to the object store.
 * Invariants:
 * - an object is confirmed only when the store has said, for this very object, that it is there with this SHA-256;
 * - a key that holds other bytes is never overwritten: the object goes beside it as a further copy (`.r1` to `.r9`), and that is told;
 * - who fails waits outside of the few places of those on their way, so that no object holds up the others.
 */
import { hash } from 'node:crypto';
import { type ObjectStore, StoreError } from '@mcp-recorder/recording/store/object-store';
import type { SealedObject } from './spool/spool.ts';
import type { Attempt, StoreWatch } from './store-watch.ts';

/** Objects on their way at once. */
const IN_FLIGHT = 4;
const FIRST_PAUSE_MS = 200;
/** Short, because a store that takes some requests and not others is noticed to be well again only by trying. */
const LONGEST_PAUSE_MS = 3_000;
const COPIES = 9;

export interface UploaderOptions {
  store: ObjectStore;
  watch: Pick<StoreWatch, 'begin'>;
  /** Monotonic, ms. */
  nowMs(): number;
  /** The object's bytes, from the spool. */
  read(object: SealedObject): Promise<Uint8Array>;
  /** The store has it. @param durationMs of the attempt that brought it there */
  confirmed(object: SealedObject, durationMs: number): void;
  /** An attempt failed, and is repeated. The watch tells of failures of the store; this is for counting, and for what else goes wrong. */
  onFailure(message: string, hint: string): void;
}

export interface Uploader {
  add(object: SealedObject): void;
  /** Objects that are not confirmed. */
  readonly waiting: number;
  /** Those of them that are on their way. */
  readonly inFlight: number;
  /**
   * The store is back: those that pause go at once.
   * @param hung it had not even answered: attempts that have no answer after the time that a first one gets begin anew, for they may hang on
   * dead connections
   */
  resume(hung: boolean): void;
  /** Begins nothing any more and calls off what is on its way; resolves when that has ended. */
  close(): Promise<void>;
}

interface Job {
  object: SealedObject;
  /** Order in which they were added: older ones go first, also when they come back. */
  number: number;
  failures: number;
  startMs: number;
  attempt: AbortController;
}

/** The reason of attempts that are called off to begin anew. */
const ANEW = new Error('begun anew');
/**
 * How long an attempt may take (ms) beside what its bytes take at the slowest rate (bytes a ms) that is expected: twice as long after each
 * failure, so that any store that gets on at all gets there.
 */
const ATTEMPT_MS = 3_000;
const SLOWEST_BYTES_PER_MS = 100;
const LONGEST_ATTEMPT_MS = 3_600_000;

function allowedMs({ size }: SealedObject, failures: number): number {
  return Math.min((ATTEMPT_MS + size / SLOWEST_BYTES_PER_MS) * 2 ** failures, LONGEST_ATTEMPT_MS);
}

function tooLate({ object }: Job, afterMs: number): StoreError {
  const hint =
    'Look at the network between here and the store, and at the store itself. The next attempt is given twice the time.';
  return new StoreError(
    'timeout',
    'put',
    object.key,
    hint,
    new Error(`no answer within ${Math.round(afterMs / 1000)} s`),
  );
}

/** A random pause before the n-th retry (from 1): "full jitter", so that many recorders don't return to a store at once. */
function jitteredMs(failures: number): number {
  return Math.random() * Math.min(FIRST_PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS);
}

function copyKey(key: string, copy: number): string {
  return copy === 0 ? key : key.replace(/\.jsonl\.zst$/, `.r${copy}.jsonl.zst`);
}

export function createUploader(options: UploaderOptions): Uploader {
  const { store, watch, nowMs } = options;
  let queue: Job[] = [];
  const running = new Map<Job, Promise<void>>();
  const pausing = new Map<Job, NodeJS.Timeout>();
  const stopped = new AbortController();
  let added = 0;

  /** SHA-256 of what stands under the key, hex, read back when the store does not know it; null when these credentials may not look. */
  async function storedSha256(key: string, signal: AbortSignal): Promise<string | null> {
    try {
      const info = await store.head(key, signal);
      return info?.sha256 ?? hash('sha256', await store.get(key, signal), 'hex');
    } catch (error) {
      if (error instanceof StoreError && error.code === 'denied') return null;
      throw error;
    }
  }

  /** Stores it under the first key that is free or holds it already. */
  async function place(object: SealedObject, signal: AbortSignal): Promise<void> {
    const bytes = await options.read(object);
    for (let copy = 0; copy <= COPIES; copy += 1) {
      const key = copyKey(object.key, copy);
      const answer = await store.putIfAbsent(key, bytes, object.sha256, signal);
      if (answer.outcome === 'created') return;
      const found = answer.sha256 ?? (await storedSha256(key, signal));
      if (found === object.sha256) return;
      options.onFailure(
        found === null
          ? `${key} in ${store.location} is taken, and these credentials may not read by what`
          : `${key} in ${store.location} holds an object that this recorder did not write`,
        found === null
          ? 'Most likely the answer to an earlier attempt was lost. The recording goes beside it as a further copy; `verify` compares both.'
          : 'Somebody else writes to this part of the store. The recording goes beside it as a further copy; `verify` will name both.',
      );
    }
    throw new Error(`all ${COPIES + 1} keys of ${object.key} in ${store.location} hold foreign objects`);
  }

  async function upload(job: Job): Promise<void> {
    const { object } = job;
    const signal = AbortSignal.any([stopped.signal, job.attempt.signal]);
    const attempt = watch.begin();
    const limitMs = allowedMs(object, job.failures);
    const timer = setTimeout(() => job.attempt.abort(tooLate(job, limitMs)), limitMs);
    try {
      await place(object, signal);
      attempt.succeeded();
      options.confirmed(object, nowMs() - job.startMs);
    } catch (error) {
      if (stopped.signal.aborted) return attempt.calledOff();
      if (job.attempt.signal.reason === ANEW) {
        attempt.calledOff();
        return enqueue(job);
      }
      fail(job, attempt, job.attempt.signal.aborted ? job.attempt.signal.reason : error);
    } finally {
      clearTimeout(timer);
    }
  }

  function fail(job: Job, attempt: Attempt, error: unknown): void {
    // What else goes wrong (the object's file can't be read) is not the store's fault.
    if (error instanceof StoreError) attempt.failed(error);
    else attempt.calledOff();
    const message = error instanceof Error ? error.message : String(error);
    const hint =
      error instanceof StoreError ? error.hint : 'The recorder tries again; nothing is lost meanwhile.';
    options.onFailure(message, hint);
    job.failures += 1;
    pausing.set(
      job,
      setTimeout(() => goOn(job), jitteredMs(job.failures)),
    );
  }

  function goOn(job: Job): void {
    clearTimeout(pausing.get(job));
    pausing.delete(job);
    enqueue(job);
    next();
  }

  function enqueue(job: Job): void {
    const at = queue.findIndex((other) => other.number > job.number);
    if (at < 0) queue.push(job);
    else queue.splice(at, 0, job);
  }

  function next(): void {
    while (running.size < IN_FLIGHT && queue.length > 0 && !stopped.signal.aborted) {
      const job = queue.shift() as Job;
      job.startMs = nowMs();
      job.attempt = new AbortController();
      const task = upload(job).finally(() => {
        running.delete(job);
        next();
      });
      running.set(job, task);
    }
  }

  return {
    add(object) {
      queue.push({ object, number: added++, failures: 0, startMs: 0, attempt: new AbortController() });
      next();
    },
    get waiting() {
      return queue.length + running.size + pausing.size;
    },
    get inFlight() {
      return running.size;
    },
    resume(hung) {
      for (const job of pausing.keys()) goOn(job);
      if (!hung) return;
      for (const { object, attempt, startMs } of running.keys()) {
        const leftMs = allowedMs(object, 0) - (nowMs() - startMs);
        setTimeout(() => attempt.abort(ANEW), leftMs).unref();
      }
    },
    async close() {
      stopped.abort();
      for (const timer of pausing.values()) clearTimeout(timer);
      pausing.clear();
      queue = [];
      await Promise.all(running.values());
    },
  };
}
