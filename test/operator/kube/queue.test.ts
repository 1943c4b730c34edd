import { describe, expect, it } from 'vitest';
import { KubeError } from '../../../operator/kube/kube-error.ts';
import { createQueue, type Queue, type QueueOptions } from '../../../operator/kube/queue.ts';
import { createManualClock } from '../../support/manual-clock.ts';

/** A queue whose runs end when the test says so. */
function createScene(options: Partial<QueueOptions> = {}) {
  const clock = createManualClock();
  const runs: { key: string; end(againMs?: number): void; fail(error: unknown): void }[] = [];
  const failures: { key: string; failures: number; waitMs: number }[] = [];
  const waits: number[] = [];
  const signals: AbortSignal[] = [];
  const queue: Queue = createQueue({
    concurrency: 2,
    clock,
    random: () => 1,
    reconcile: (key, signal) =>
      new Promise((resolve, reject) => {
        signals.push(signal);
        runs.push({ key, end: (againMs) => resolve(againMs ?? null), fail: reject });
      }),
    failed: (key, _error, count, waitMs) => failures.push({ key, failures: count, waitMs }),
    began: (_key, waitedMs) => waits.push(waitedMs),
    ...options,
  });
  /** Lets what was resolved be seen. */
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const keys = () => runs.map(({ key }) => key);
  return { clock, queue, runs, keys, failures, waits, signals, settle };
}

describe('the queue', () => {
  it('runs a key once however often it is added while it waits', () => {
    const { queue, keys } = createScene({ concurrency: 1 });
    queue.add('busy');
    for (let times = 0; times < 5; times += 1) queue.add('a');
    queue.add('b');
    expect(keys()).toEqual(['busy']);
    expect(queue.depth).toBe(2);
  });

  it('never runs a key beside itself, and once more when it was added meanwhile', async () => {
    const { queue, runs, keys, settle } = createScene();
    queue.add('a');
    queue.add('a');
    queue.add('a');
    expect(keys()).toEqual(['a']);
    runs[0]?.end();
    await settle();
    expect(keys()).toEqual(['a', 'a']);
    runs[1]?.end();
    await settle();
    expect(keys()).toEqual(['a', 'a']);
    expect([queue.depth, queue.running]).toEqual([0, 0]);
  });

  it('runs no more keys at once than it may, in the order in which they came', async () => {
    const { queue, runs, keys, settle, clock, waits } = createScene();
    for (const key of ['a', 'b', 'c', 'd']) queue.add(key);
    expect(keys()).toEqual(['a', 'b']);
    clock.advance(300);
    runs[1]?.end();
    await settle();
    expect(keys()).toEqual(['a', 'b', 'c']);
    expect(waits).toEqual([0, 0, 300]);
  });

  it('tries what failed again, later each time up to a minute, and from the start after a success', async () => {
    const { queue, runs, failures, clock, settle } = createScene();
    queue.add('a');
    for (let attempt = 0; attempt < 12; attempt += 1) {
      runs.at(-1)?.fail(new Error('no'));
      await settle();
      const waitMs = failures.at(-1)?.waitMs as number;
      clock.advance(waitMs - 1);
      expect(runs).toHaveLength(attempt + 1);
      clock.advance(1);
      expect(runs).toHaveLength(attempt + 2);
    }
    const waits = failures.map(({ waitMs }) => waitMs);
    expect(waits.slice(0, 4)).toEqual([200, 400, 800, 1600]);
    expect(waits.slice(-2)).toEqual([60_000, 60_000]);
    expect(queue.failing).toBe(1);
    runs.at(-1)?.end(3_600_000);
    await settle();
    expect(queue.failing).toBe(0);
    queue.add('a');
    runs.at(-1)?.fail(new Error('no'));
    await settle();
    expect(failures.at(-1)).toMatchObject({ failures: 1, waitMs: 200 });
  });

  it('leaves out up to half of a wait at random', async () => {
    const { queue, runs, failures, settle } = createScene({ random: () => 0 });
    queue.add('a');
    runs[0]?.fail(new Error('no'));
    await settle();
    expect(failures[0]?.waitMs).toBe(100);
  });

  it('waits as long as the API server asks', async () => {
    const { queue, runs, failures, settle } = createScene();
    queue.add('a');
    const facts = { call: 'create pods/eviction', status: 429, reason: 'TooManyRequests', message: 'later' };
    runs[0]?.fail(new KubeError({ ...facts, retryAfterMs: 10_000 }));
    await settle();
    expect(failures[0]?.waitMs).toBe(10_000);
  });

  it('runs a key again after the time that its run asked for', async () => {
    const { queue, runs, clock, settle } = createScene();
    queue.add('a');
    runs[0]?.end(15_000);
    await settle();
    clock.advance(14_999);
    expect(runs).toHaveLength(1);
    clock.advance(1);
    expect(runs).toHaveLength(2);
  });

  it('forgets the repetition that an older run asked for when something else made the key run', async () => {
    const { queue, runs, clock, settle } = createScene();
    queue.add('a');
    runs[0]?.end(15_000);
    await settle();
    clock.advance(10_000);
    queue.add('a');
    runs[1]?.end(15_000);
    await settle();
    clock.advance(10_000);
    expect(runs).toHaveLength(2);
    clock.advance(5_000);
    expect(runs).toHaveLength(3);
  });

  it('runs a key at the earliest time that was asked for from outside, also when it ran before', async () => {
    const { queue, runs, clock, settle } = createScene();
    queue.addAfter('a', 5_000);
    queue.addAfter('a', 1_000);
    queue.addAfter('a', 3_000);
    queue.add('a');
    runs[0]?.end();
    await settle();
    clock.advance(1_000);
    expect(runs).toHaveLength(2);
    runs[1]?.end();
    await settle();
    clock.advance(60_000);
    expect(runs).toHaveLength(2);
  });

  it('closes when what runs has ended, and begins nothing more', async () => {
    const { queue, runs, signals, clock, settle } = createScene({ concurrency: 1 });
    queue.add('a');
    queue.add('b');
    queue.addAfter('c', 10);
    const order: string[] = [];
    const closing = queue.close().finally(() => order.push('closed'));
    expect(signals[0]?.aborted).toBe(true);
    await settle();
    order.push('the run ends');
    runs[0]?.fail(new Error('aborted'));
    await closing;
    expect(order).toEqual(['the run ends', 'closed']);
    queue.add('d');
    clock.advance(100_000);
    expect(runs.map(({ key }) => key)).toEqual(['a']);
  });

  it('closes at once when nothing runs', async () => {
    const { queue } = createScene();
    await queue.close();
    expect(queue.running).toBe(0);
  });
});
