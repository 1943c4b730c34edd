/**
 * Owns how recorded text is shown on a terminal.
 * Invariant: nothing that a caller or a server chose can move the cursor, change colours, reorder or hide what is shown.
 */

import stringWidth from 'string-width';

/**
 * Control characters of C0 and C1 with DEL; line and paragraph separators; marks that reorder text (Trojan Source,
 * CVE-2021-42574) or that show nothing, but for the one that makes a sign an emoji; halves of a surrogate pair.
 */
const UNSAFE = /[\p{Cc}\p{Cs}\u2028\u2029\ufff9-\ufffb]|(?!\ufe0f)\p{Default_Ignorable_Code_Point}/gu;

/** The text on one line, with each unsafe character as its escape (`\u001b`). */
export function printableLine(text: string): string {
  return text.replace(UNSAFE, escapeOf);
}

/** The text with its line ends and tabs, every other unsafe character as its escape. */
export function printableText(text: string): string {
  return text.replace(/\r\n/g, '\n').replace(UNSAFE, (c) => (c === '\n' || c === '\t' ? c : escapeOf(c)));
}

/** Columns that a printable line takes on a terminal: wide characters and emoji take two, accents none. */
export function widthOf(line: string): number {
  return ASCII.test(line) ? line.length : stringWidth(line);
}

/**
 * At most `width` columns of a printable line; an ellipsis says that it was longer.
 * @param keep what is left of it
 */
export function shorten(line: string, width: number, keep: 'begin' | 'end' = 'begin'): string {
  if (widthOf(line) <= width) return line;
  if (width < 1) return '';
  const characters = [...GRAPHEMES.segment(line)].map(({ segment }) => segment);
  if (keep === 'end') characters.reverse();
  const kept: string[] = [];
  let used = 1;
  for (const character of characters) {
    used += widthOf(character);
    if (used > width) break;
    kept.push(character);
  }
  return keep === 'end' ? `…${kept.reverse().join('')}` : `${kept.join('')}…`;
}

const ASCII = /^[ -~]*$/;
/** What a person takes for one character. */
const GRAPHEMES = new Intl.Segmenter('en', { granularity: 'grapheme' });

function escapeOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, '0')}`;
}
