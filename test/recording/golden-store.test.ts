import path from 'node:path';
import { decodeSegment } from '@mcp-recorder/recording/read/segment-object';
import { verifyStore } from '@mcp-recorder/recording/read/verify-store';
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import { describe, expect, it } from 'vitest';
import { goldenStore } from './golden-store.ts';

const store = createDirectoryStore(path.join(import.meta.dirname, '..', 'fixtures', 'store'));

describe('the golden store', () => {
  it('is read and proven as on the day on which it was written', async () => {
    const report = await verifyStore(store, { expectClosed: true });
    expect(report.explained).toBe(true);
    expect(report.streams.map((s) => [s.state, s.segments, s.lines])).toEqual([
      ['recovered', 2, 9],
      ['complete', 3, 25],
      ['complete', 1, 5],
    ]);
  });

  it('is what is written today, byte for byte of its lines', async () => {
    const keys: string[] = [];
    for await (const { key } of store.list('')) keys.push(key);
    const today = goldenStore();
    expect(keys).toEqual(today.map((segment) => segment.key).toSorted());
    for (const { key, lines } of today) {
      const decoded = await decodeSegment(await store.get(key));
      expect(decoded.toString('utf8')).toBe(lines.map((line) => `${line}\n`).join(''));
    }
  });
});
