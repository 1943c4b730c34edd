import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createBindingTable,
  encodeBinding,
  encodeForgotten,
  readRecords,
  RECORD_BYTES,
} from '../../sidecar/exchange/binding-table.ts';

const id = (n: number): string => n.toString(16).padStart(32, '0');

describe('the table of session bindings', () => {
  it('keeps what servers opened, however many ids clients make up', () => {
    const table = createBindingTable(4);
    table.bind({ session: id(1), caller: id(7), how: 'opened' });
    for (let n = 100; n < 200; n++) table.bind({ session: id(n), caller: id(8), how: 'seen' });
    expect(table.callerOf(id(1))).toBe(id(7));
    expect(table.callerOf(id(100))).toBe(null);
    expect(table.callerOf(id(199))).toBe(id(8));
    expect(table.bindings().length).toBeLessThanOrEqual(16);
  });

  it('gives a session that is opened anew to who it was opened for', () => {
    const table = createBindingTable(4);
    table.bind({ session: id(1), caller: id(7), how: 'seen' });
    table.bind({ session: id(1), caller: id(8), how: 'opened' });
    expect(table.callerOf(id(1))).toBe(id(8));
    table.forget(id(1));
    expect(table.callerOf(id(1))).toBe(null);
  });

  it('is the same when it is read from its records, up to the one that a crash cut', () => {
    const binding = fc.record({
      session: fc.integer({ min: 1, max: 5 }).map(id),
      caller: fc.integer({ min: 1, max: 5 }).map(id),
      how: fc.constantFrom('opened' as const, 'seen' as const),
    });
    const change = fc.oneof(binding, fc.integer({ min: 1, max: 5 }).map(id));
    fc.assert(
      fc.property(fc.array(change), fc.nat(RECORD_BYTES - 1), (changes, cut) => {
        const table = createBindingTable(100);
        const records = changes.map((entry) => {
          if (typeof entry === 'string') table.forget(entry);
          else table.bind(entry);
          return typeof entry === 'string' ? encodeForgotten(entry) : encodeBinding(entry);
        });
        const torn = encodeBinding({ session: id(9), caller: id(9), how: 'opened' }).subarray(0, cut);
        const read = createBindingTable(100);
        const file = Buffer.concat([...records, torn, Buffer.alloc(200)]);
        expect(readRecords(file, read)).toBe(changes.length);
        expect(read.bindings()).toEqual(table.bindings());
      }),
    );
  });
});
