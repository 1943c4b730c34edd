/**
 * Owns how recorded text is shown on a terminal.
 * Invariant: nothing that a caller or a server chose can move the cursor, change colours, reorder or hide what is shown.
 */

/**
 * Control characters of C0 and C1 with DEL; line and paragraph separators; marks that reorder text (Trojan Source,
 * CVE-2021-42574) or that show nothing; halves of a surrogate pair.
 */
const UNSAFE =
  /[\p{Cc}\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]|\p{Cs}/gu;

/** The text on one line, with each unsafe character as its escape (`\u001b`). */
export function printableLine(text: string): string {
  return text.replace(UNSAFE, escapeOf);
}

/** The text with its line ends and tabs, every other unsafe character as its escape. */
export function printableText(text: string): string {
  return text.replace(/\r\n/g, '\n').replace(UNSAFE, (c) => (c === '\n' || c === '\t' ? c : escapeOf(c)));
}

/** At most `width` characters of a printable line; an ellipsis says that it was longer. */
export function shorten(line: string, width: number): string {
  const characters = [...line];
  return characters.length <= width ? line : `${characters.slice(0, Math.max(0, width - 1)).join('')}…`;
}

function escapeOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, '0')}`;
}
