/**
 * Owns how places in an expression are named to people.
 * Invariant: lines and columns count from 1, columns in UTF-16 code units.
 */

/** Where the character at `offset` is; an offset before the text is its beginning. */
export function positionIn(source: string, offset: number): { line: number; column: number } {
  const before = source.slice(0, Math.max(0, offset));
  return { line: before.split('\n').length, column: before.length - before.lastIndexOf('\n') };
}
