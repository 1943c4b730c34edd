import { createUlidFactory, isUlid, ulidTimeMs } from '@mcp-recorder/recording/format/ulid';
import { describe, expect, it } from 'vitest';

describe('ids', () => {
  it('are the ULIDs of the specification', () => {
    const zero = createUlidFactory(
      () => 1_469_918_176_385,
      (buffer) => buffer.fill(0),
    );
    expect(zero()).toBe('01ARYZ6S410000000000000000');
    expect(zero()).toBe('01ARYZ6S410000000000000001');
    expect(ulidTimeMs('01ARYZ6S410000000000000001')).toBe(1_469_918_176_385);
    const largest = createUlidFactory(
      () => 2 ** 48 - 1,
      (buffer) => buffer.fill(255),
    );
    expect(largest()).toBe('7ZZZZZZZZZZZZZZZZZZZZZZZZZ');
  });

  it('increase within a millisecond, over every carry, and when the clock goes back', () => {
    let now = 1_000_000;
    const carry = createUlidFactory(
      () => now,
      (buffer) => buffer.fill(255).writeUInt8(0, 0),
    );
    const ids = [carry()];
    for (let i = 0; i < 1000; i += 1) {
      if (i % 100 === 0) now += i % 200 === 0 ? 1 : -1;
      ids.push(carry());
    }
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.toSorted()).toEqual(ids);
    expect(ids.every(isUlid)).toBe(true);
  });

  it('differ between processes', () => {
    const now = () => 1_000_000;
    expect(createUlidFactory(now)()).not.toBe(createUlidFactory(now)());
  });

  it('have one spelling', () => {
    for (const text of [
      '01ARYZ6S41000000000000000',
      '01aryz6s410000000000000000',
      '8ZZZZZZZZZZZZZZZZZZZZZZZZZ',
      '01ARYZ6S41000000000000000U',
      7,
    ]) {
      expect(isUlid(text), String(text)).toBe(false);
    }
  });
});
