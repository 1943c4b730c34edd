/**
 * Owns how readers try again what a store did not do: stores ask for less, and fail or fall silent for a moment, while long work goes on.
 * Invariants: only what may be otherwise the next time is asked for again, and each thing only so often; a listing goes on after the last
 * key that it gave, so that none comes twice. Writers have a policy of their own, and nothing here repeats a put.
 */
import { setTimeout as wait } from 'node:timers/promises';
import {
  type ListOptions,
  type ObjectStore,
  StoreError,
  type StoreErrorCode,
} from '../store/object-store.ts';

/** What passes by itself. The next attempt after `clock_skew` is signed with the time of the store. */
const PASSING: ReadonlySet<StoreErrorCode> = new Set([
  'throttled',
  'failed',
  'timeout',
  'unreachable',
  'clock_skew',
]);
/** Pauses between the attempts at one thing, ms: there is one attempt more. Each is shortened at random, so that many do not meet again. */
const PAUSES_MS = [200, 500, 1_250, 3_000] as const;

/** Waits, and ends early when the signal is aborted. */
export type Pause = (ms: number, signal: AbortSignal | undefined) => Promise<unknown>;

const pauseFor: Pause = (ms, signal) => wait(ms, undefined, signal === undefined ? {} : { signal });

/** @param pause for tests: they wait for no clock */
export function createPatientStore(store: ObjectStore, pause: Pause = pauseFor): ObjectStore {
  /** Returns after a pause when the attempt may be made again. @throws `failure` when not, or the signal's reason */
  async function orThrow(failure: unknown, failures: number, signal: AbortSignal | undefined): Promise<void> {
    const pauseMs = PAUSES_MS[failures - 1];
    if (pauseMs === undefined || !(failure instanceof StoreError) || !PASSING.has(failure.code))
      throw failure;
    await pause(pauseMs * (0.5 + Math.random() / 2), signal).catch((stopped: unknown) => {
      signal?.throwIfAborted();
      throw stopped;
    });
  }

  async function patiently<T>(attempt: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    for (let failures = 1; ; failures += 1) {
      try {
        return await attempt();
      } catch (error) {
        await orThrow(error, failures, signal);
      }
    }
  }

  async function* listPatiently<Item extends { key: string }>(
    list: (options: ListOptions) => AsyncIterable<Item>,
    options: ListOptions,
  ): AsyncIterable<Item> {
    let after = options;
    let failures = 0;
    for (;;) {
      try {
        for await (const item of list(after)) {
          after = { ...options, startAfter: item.key };
          failures = 0;
          yield item;
        }
        return;
      } catch (error) {
        failures += 1;
        await orThrow(error, failures, options.signal);
      }
    }
  }

  return {
    location: store.location,
    putIfAbsent: (...put) => store.putIfAbsent(...put),
    probe: (signal) => store.probe(signal),
    get: (key, signal, version) => patiently(() => store.get(key, signal, version), signal),
    head: (key, signal) => patiently(() => store.head(key, signal), signal),
    list: (prefix, options = {}) => listPatiently((rest) => store.list(prefix, rest), options),
    history: (prefix, options = {}) => listPatiently((rest) => store.history(prefix, rest), options),
  };
}
