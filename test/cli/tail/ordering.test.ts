import { describe, expect, it } from 'vitest';
import { createOrdering } from '../../../cli/tail/ordering.ts';
import { createRanges } from '../../../cli/tail/ranges.ts';

const S = '01KAH3M8ZK4T9V2B6XN5R0WCEA';
const place = { cluster: 'c', namespace: 'n', server: 's' };

function setUp(waitMs = 1_000) {
  const shown: number[] = [];
  const missing: [number, number][] = [];
  let now = 0;
  const ordering = createOrdering({
    show: ({ seq }) => shown.push(seq),
    missing: (_stream, from, end) => missing.push([from, end]),
    nowMs: () => now,
    waitMs,
  });
  const offer = (seq: number, bytes = 10) =>
    ordering.offer({ place, stream: S, seq, bytes: Buffer.alloc(bytes) });
  const pass = (ms: number) => {
    now += ms;
    ordering.tick();
  };
  return { ordering, shown, missing, offer, pass };
}

describe('the order of what is shown', () => {
  it('is that of seq, each line once, whatever comes twice and in which order', () => {
    const { ordering, shown, missing, offer } = setUp();
    ordering.begin(S, 0, false);
    for (const seq of [0, 1, 1, 4, 5, 3, 2, 4, 6, 0]) offer(seq);
    expect(shown).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(missing).toEqual([]);
    expect(ordering.wereShown(S, 0, 7)).toBe(true);
  });

  it('waits for a hole so long and no longer, says what is missing, and shows it when it comes after all', () => {
    const { ordering, shown, missing, offer, pass } = setUp();
    ordering.begin(S, 0, false);
    for (const seq of [0, 3, 4, 8]) offer(seq);
    pass(999);
    expect([shown, missing]).toEqual([[0], []]);
    pass(1);
    expect([shown, missing]).toEqual([[0, 3, 4], [[1, 3]]]);
    pass(1_000);
    expect([shown, missing]).toEqual([
      [0, 3, 4, 8],
      [
        [1, 3],
        [5, 8],
      ],
    ]);
    for (const seq of [1, 2, 2]) offer(seq);
    expect(shown).toEqual([0, 3, 4, 8, 1, 2]);
  });

  it('says at once what is missing where nothing could bring it', () => {
    const { ordering, shown, missing, offer } = setUp(0);
    ordering.begin(S, 2, true);
    for (const seq of [0, 1, 2, 5, 6]) offer(seq);
    expect([shown, missing]).toEqual([[2, 5, 6], [[3, 5]]]);
  });

  it('holds little: what it lets go of comes again from the store', () => {
    const { ordering, shown, missing, offer, pass } = setUp();
    ordering.begin(S, 0, false);
    for (let seq = 1; seq < 30; seq += 1) offer(seq, 1024 * 1024);
    expect(shown).toEqual([]);
    for (let seq = 0; seq < 30; seq += 1) offer(seq);
    expect(shown).toEqual(Array.from({ length: 30 }, (_, seq) => seq));
    pass(10_000);
    expect(missing).toEqual([]);
  });

  it('lets what waits elsewhere go on when it has waited too long', () => {
    const { ordering, missing, pass, offer } = setUp();
    ordering.begin(S, 0, false);
    offer(0);
    expect(ordering.mustWait(S, 7)).toBe(true);
    ordering.waits(S, 7);
    pass(1_000);
    expect(ordering.mustWait(S, 7)).toBe(false);
    expect(missing).toEqual([[1, 7]]);
  });
});

describe('ranges', () => {
  it('answer as a set of numbers does', () => {
    const ranges = createRanges();
    const set = new Set<number>();
    let random = 7;
    const next = (below: number): number => {
      random = (random * 16_807) % 2_147_483_647;
      return random % below;
    };
    for (let n = 0; n < 300; n += 1) {
      const from = next(500);
      const end = from + next(6);
      ranges.add(from, end);
      for (let at = from; at < end; at += 1) set.add(at);
      for (let at = 0; at < 510; at += 1) expect(ranges.has(at)).toBe(set.has(at));
    }
    expect(ranges.hasAll(0, 600)).toBe(false);
  });

  it('close the oldest hole when there are too many', () => {
    const ranges = createRanges(3);
    for (const at of [0, 10, 20, 30]) ranges.add(at, at + 1);
    expect([5, 15, 25].map(ranges.has)).toEqual([true, false, false]);
  });
});
