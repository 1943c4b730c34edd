/**
 * Owns the bound on names and ids that others choose: at most 1 KiB of each is recorded.
 * Invariant: what is recorded is a beginning of what was sent, and no character is cut in two. Matching uses the whole.
 */

/** UTF-8 bytes of a name, id or claim that are recorded at most. */
export const MAX_NAME_BYTES = 1024;

/** The text, or its first 1 KiB. */
export function cutName(text: string): string {
  // A UTF-16 unit is at most three bytes of UTF-8.
  if (text.length * 3 <= MAX_NAME_BYTES || Buffer.byteLength(text) <= MAX_NAME_BYTES) return text;
  const bytes = Buffer.from(text.slice(0, MAX_NAME_BYTES));
  let end = Math.min(MAX_NAME_BYTES, bytes.length);
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}
