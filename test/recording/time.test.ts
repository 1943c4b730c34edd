import { createClock, formatMicros, isTime, parseMicros } from '@mcp-recorder/recording/format/time';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const micros = fc.integer({ min: 0, max: Date.UTC(2200, 0, 1) * 1000 });

describe('the time of a line', () => {
  it.each([
    [0, '1970-01-01T00:00:00.000000Z'],
    [1, '1970-01-01T00:00:00.000001Z'],
    [1_795_250_400_123_456, '2026-11-21T08:40:00.123456Z'],
    [951_782_400_000_000n, '2000-02-29T00:00:00.000000Z'],
    [-1, '1969-12-31T23:59:59.999999Z'],
  ])('of %s microseconds is %s', (us, text) => {
    expect(formatMicros(us)).toBe(text);
  });

  it('is read back as it was written, and sorts as the time it means', () => {
    fc.assert(
      fc.property(micros, micros, (a, b) => {
        expect(parseMicros(formatMicros(a))).toBe(a);
        expect(Math.sign(formatMicros(a).localeCompare(formatMicros(b)))).toBe(Math.sign(a - b));
      }),
    );
  });

  it('has one form only', () => {
    for (const text of [
      '2026-11-21T08:40:00Z',
      '2026-11-21T08:40:00.123Z',
      '2026-11-21T08:40:00.123456+00:00',
      '2026-13-21T08:40:00.123456Z',
      '2026-11-21T24:40:00.123456Z',
      '2026-11-21 08:40:00.123456Z',
      7,
    ]) {
      expect(isTime(text), String(text)).toBe(false);
    }
    expect(() => parseMicros('yesterday')).toThrow(RangeError);
    expect(() => formatMicros(Date.UTC(10_000, 0, 1) * 1000)).toThrow(RangeError);
  });
});

describe('a clock', () => {
  function settable(startMs: number) {
    const state = { wall: startMs, monotonic: 500 };
    const clock = createClock(
      () => Math.floor(state.wall),
      () => state.monotonic,
    );
    const pass = (ms: number) => {
      state.wall += ms;
      state.monotonic += ms;
    };
    return { state, clock, pass };
  }
  const START = Date.UTC(2026, 10, 21);

  it('tells microseconds between the milliseconds of the wall clock', () => {
    const { clock, pass } = settable(START);
    pass(0.25);
    expect(clock.next()).toEqual({ time: '2026-11-21T00:00:00.000250Z', steppedFrom: null });
    expect(clock.monotonicUs()).toBe(500_250);
  });

  it('says from where when the wall clock is set, back or forth', () => {
    const { state, clock, pass } = settable(START);
    clock.next();
    pass(1000);
    state.wall -= 3_600_000;
    expect(clock.next()).toEqual({
      time: '2026-11-20T23:00:01.000000Z',
      steppedFrom: '2026-11-21T00:00:01.000000Z',
    });
    expect(clock.next().steppedFrom).toBeNull();
    state.wall += 5000;
    expect(clock.next()).toEqual({
      time: '2026-11-20T23:00:06.000000Z',
      steppedFrom: '2026-11-20T23:00:01.000000Z',
    });
  });

  it('never goes back without saying so', () => {
    const steps = fc.array(
      fc.tuple(fc.double({ min: 0, max: 2000, noNaN: true }), fc.integer({ min: -5000, max: 5000 })),
    );
    fc.assert(
      fc.property(steps, (moves) => {
        const { state, clock, pass } = settable(START);
        let last = clock.next().time;
        for (const [ms, set] of moves) {
          pass(ms);
          state.wall += set;
          const { time, steppedFrom } = clock.next();
          if (steppedFrom === null) expect(time >= last).toBe(true);
          else expect(steppedFrom >= last).toBe(true);
          expect(Math.abs(parseMicros(time) / 1000 - state.wall)).toBeLessThanOrEqual(1001);
          last = time;
        }
      }),
    );
  });
});
