/**
 * Owns how a line that is longer than the terminal is broken.
 * Invariant: nothing is lost, no part is wider than asked for, and no character that people take for one is torn.
 */
import { widthOf } from './printable.ts';

const PLAIN = /^[ -~]*$/;
const GRAPHEMES = new Intl.Segmenter('en', { granularity: 'grapheme' });
const TAB = '    ';

/** A printable line in parts of at most `width` columns; tabs become spaces. A character that is wider alone is a `?`. */
export function wrapLine(given: string, width: number): string[] {
  const line = given.replaceAll('\t', TAB);
  if (line === '' || width < 1) return [''];
  if (PLAIN.test(line)) {
    return Array.from({ length: Math.ceil(line.length / width) }, (_, n) =>
      line.slice(n * width, (n + 1) * width),
    );
  }
  const parts: string[] = [];
  let part = '';
  let used = 0;
  for (const { segment } of GRAPHEMES.segment(line)) {
    const tooWide = widthOf(segment) > width;
    const character = tooWide ? '?' : segment;
    const takes = tooWide ? 1 : widthOf(segment);
    if (used + takes > width) {
      parts.push(part);
      part = '';
      used = 0;
    }
    part += character;
    used += takes;
  }
  return [...parts, part];
}
