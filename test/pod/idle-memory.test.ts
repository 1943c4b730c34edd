import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { giveBackWhenIdle } from '../../sidecar/idle-memory.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('memory is given back once for each time in which nothing is recorded', () => {
  let recorded = 0;
  let collections = 0;
  const stop = giveBackWhenIdle(() => recorded, (() => void (collections += 1)) as NodeJS.GCFunction);
  const after = (seconds: number) => {
    vi.advanceTimersByTime(seconds * 1_000);
    return collections;
  };
  expect(after(9)).toBe(0);
  expect(after(2)).toBe(1);
  expect(after(600)).toBe(1);
  for (let i = 0; i < 60; i += 1) {
    recorded += 1;
    expect(after(1)).toBe(1);
  }
  expect(after(20)).toBe(2);
  expect(after(600)).toBe(2);
  recorded += 1;
  stop();
  expect(after(600)).toBe(2);
});
