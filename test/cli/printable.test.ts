import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { printableLine, printableText, shorten } from '../../cli/printable.ts';
import { count, formatDuration, renderTable } from '../../cli/table.ts';

describe('recorded text on a terminal', () => {
  it.each([
    ['colours and cursor moves', '\u001b[2J\u001b[31mroot#', '\\u001b[2J\\u001b[31mroot#'],
    ['C1 control sequences', '\u009b31m', '\\u009b31m'],
    ['a title or a clipboard write', '\u001b]52;c;eA==\u0007', '\\u001b]52;c;eA==\\u0007'],
    ['text that runs backwards', 'a\u202etxt.exe', 'a\\u202etxt.exe'],
    ['isolates', '\u2066x\u2069', '\\u2066x\\u2069'],
    ['characters without width', 'ad\u200bmin\ufeff', 'ad\\u200bmin\\ufeff'],
    ['invisible tags', 'ok\u{e0041}', 'ok\\u{e0041}'],
    ['half of a surrogate pair', 'a\ud800b', 'a\\ud800b'],
    ['overwriting the line', 'denied\rallowed', 'denied\\u000dallowed'],
  ])('shows %s as escapes', (_what, text, shown) => {
    expect(printableLine(text)).toBe(shown);
    expect(printableText(text)).toBe(shown);
  });

  it('leaves text in any language as it is', () => {
    const text = 'Grüße, 東京, مرحبا, 👩‍💻'.replace('\u200d', '');
    expect(printableLine(text)).toBe(text);
  });

  it('keeps lines and tabs only where several lines are shown', () => {
    expect(printableText('a\r\n\tb\nc')).toBe('a\n\tb\nc');
    expect(printableLine('a\n\tb')).toBe('a\\u000a\\u0009b');
  });

  it('never lets a control character through', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(printableLine(text)).not.toMatch(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u);
        expect(printableText(text).replace(/[\n\t]/g, '')).not.toMatch(/\p{Cc}/u);
      }),
    );
  });
});

describe('a table', () => {
  it('is aligned, and its cells stay on their lines', () => {
    expect(
      renderTable(
        ['A', 'LONG'],
        [
          ['one', 'x\ny'],
          ['twenty', ''],
        ],
      ),
    ).toEqual(['A       LONG', 'one     x\\u000ay', 'twenty']);
  });

  it('shortens what is too long and says so', () => {
    expect(renderTable(['A'], [['x'.repeat(100)]])[1]).toBe(`${'x'.repeat(59)}…`);
    expect(shorten('abc', 3)).toBe('abc');
  });
});

describe('figures', () => {
  it.each([
    [null, '-'],
    [850, '850 µs'],
    [52_180, '52.2 ms'],
    [4_200_000, '4.2 s'],
    [185_000_000, '3 min 5 s'],
  ])('write %s µs as %s', (us, text) => {
    expect(formatDuration(us)).toBe(text);
  });

  it('count in words', () => {
    expect([count(0, 'line'), count(1, 'line'), count(2, 'line')]).toEqual(['0 lines', '1 line', '2 lines']);
  });
});
