import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createSseSplitter } from '../../sidecar/exchange/sse.ts';
import { withData } from '../../sidecar/exchange/sse-data.ts';

/** The data that a client gets of an event with this body. */
function read(body: string): string | null | undefined {
  const splitter = createSseSplitter({ maxPendingBytes: 1 << 20 });
  return splitter.push(Buffer.from(`data: ${body}\n\n`))[0]?.data;
}

const same = (line: string): string => line;

it('writes data in the place of data', () => {
  expect(withData('{"a":1}', '{"a":2}', same)).toBe('{"a":2}');
  expect(withData('a\r\nid: 5\r\ndata:b', 'x\ny', same)).toBe('x\r\nid: 5\r\ndata: y');
  expect(withData('a\ndata: b', 'one', same)).toBe('one');
  expect(withData('a\n: note\ndata: b\ndata: c', 'one', same)).toBe('one\n: note');
  expect(withData('a', 'x\ny\nz', same)).toBe('x\ndata: y\ndata: z');
  expect(withData('a\r: note\rdata: b', 'x\ny\nz', same)).toBe('x\r: note\rdata: y\rdata: z');
});

it('asks what stands for lines without data', () => {
  const masked = withData('a\n: secret\ndata: b\nid: 1', 'a\nb', (line) => line.replace('secret', '*'));
  expect(masked).toBe('a\n: *\ndata: b\nid: 1');
});

it('is read as what was written, whatever body and data are', () => {
  const end = fc.constantFrom('\n', '\r\n', '\r');
  const line = fc.oneof(
    fc.string({ maxLength: 5 }).map((text) => `data: ${text.replaceAll(/[\r\n]/g, '')}`),
    fc.constantFrom(': note', 'id: 1', 'event: x', 'data', 'other'),
  );
  fc.assert(
    fc.property(
      fc.array(line, { maxLength: 5 }),
      end,
      fc.array(fc.string({ maxLength: 5 }), { minLength: 1, maxLength: 4 }),
      (lines, lineEnd, values) => {
        const body = ['first', ...lines].join(lineEnd);
        const data = values.map((value) => value.replaceAll(/[\r\n\0]/g, '')).join('\n');
        const written = withData(body, data, same);
        expect(read(written)).toBe(data);
        const others = (text: string): string[] =>
          text.split(/\r\n|\r|\n/).filter((entry, index) => index > 0 && !/^data(?::|$)/.test(entry));
        expect(others(written)).toEqual(others(body));
      },
    ),
    { numRuns: 500 },
  );
});
