import { readAhead, type ReadAheadOptions } from '@mcp-recorder/recording/read/read-ahead';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/poll.ts';

/** Fetches that end when the test says so. */
function setUp(sizes: readonly number[], options: Partial<ReadAheadOptions<number, number>> = {}) {
  const begun: number[] = [];
  const aborted: number[] = [];
  const finish = new Map<number, (error?: Error) => void>();
  async function* items() {
    yield* sizes.keys();
  }
  const results = readAhead(items(), {
    fetch: (item, signal) => {
      begun.push(item);
      signal.addEventListener('abort', () => aborted.push(item));
      return new Promise((resolve, reject) => {
        finish.set(item, (error) => (error === undefined ? resolve(item) : reject(error)));
      });
    },
    sizeOf: (item) => sizes[item] ?? 0,
    maxItems: 3,
    maxBytes: 1_000,
    ...options,
  })[Symbol.asyncIterator]();
  const take = async (item: number) => {
    const next = results.next();
    await eventually(() => begun.includes(item), { withinMs: 1_000 });
    finish.get(item)?.();
    const { value, done } = await next;
    return done === true ? 'done' : value.fetched;
  };
  return { begun, aborted, finish, results, take };
}

const small = Array.from({ length: 9 }, () => 1);

describe('reading ahead', () => {
  it('begins with one and lets one more ahead for each that is taken, up to the bound', async () => {
    const { begun, take } = setUp(small);
    const ahead: number[] = [];
    for (let item = 0; item < 6; item += 1) {
      expect(await take(item)).toBe(item);
      ahead.push(begun.length - (item + 1));
    }
    expect(ahead).toEqual([0, 1, 2, 3, 3, 3]);
  });

  it('gives the items in their order, whatever arrives first', async () => {
    const { finish, take, begun } = setUp(small);
    for (let item = 0; item < 3; item += 1) await take(item);
    for (const item of begun.slice(3).toReversed()) finish.get(item)?.();
    expect([await take(3), await take(4), await take(5)]).toEqual([3, 4, 5]);
  });

  it('holds no more bytes than allowed, and fetches alone what is larger', async () => {
    const { begun, take } = setUp([400, 400, 400, 400, 5_000, 1, 1]);
    const ahead: number[] = [];
    for (let item = 0; item < 7; item += 1) {
      await take(item);
      ahead.push(begun.length - (item + 1));
    }
    expect(ahead).toEqual([0, 1, 1, 0, 0, 1, 0]);
  });

  it('throws what a fetch threw when its turn comes, and stops the others', async () => {
    const { finish, take, results, aborted, begun } = setUp(small);
    for (let item = 0; item < 3; item += 1) await take(item);
    finish.get(4)?.(new Error('broken'));
    expect(await take(3)).toBe(3);
    await expect(results.next()).rejects.toThrow('broken');
    expect(aborted).toEqual(begun);
  });

  it('stops what is under way when its reader leaves', async () => {
    const { take, results, aborted, begun } = setUp(small);
    for (let item = 0; item < 3; item += 1) await take(item);
    await results.return?.();
    expect(aborted).toEqual(begun);
    expect(begun.length).toBeGreaterThan(3);
  });
});
