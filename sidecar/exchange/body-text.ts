/**
 * Owns the step from body bytes to text.
 * Invariant: text comes out only when every reader of the bytes gets the same text: UTF-8, unbroken, without byte order mark (RFC 8259 8.1).
 */
import { isUtf8 } from 'node:buffer';

export type BodyText = { ok: true; text: string } | { ok: false; reason: 'bom' | 'utf16' | 'not_utf8' };

/**
 * Decodes a whole body.
 * @param bytes content-decoded body, any length
 * @returns the text, or why these bytes can't be read in one way only
 */
export function decodeBodyText(bytes: Buffer): BodyText {
  const first = bytes[0];
  const second = bytes[1];
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    return { ok: false, reason: 'utf16' };
  }
  // JSON begins with ASCII, so a NUL in the first two bytes is UTF-16 or UTF-32 without a mark (RFC 4627 3).
  if (second !== undefined && (first === 0 || second === 0)) return { ok: false, reason: 'utf16' };
  if (first === 0xef && second === 0xbb && bytes[2] === 0xbf) return { ok: false, reason: 'bom' };
  if (!isUtf8(bytes)) return { ok: false, reason: 'not_utf8' };
  return { ok: true, text: bytes.toString('utf8') };
}

/** How many bytes before `limit` begin a UTF-8 character that is not whole there (0 to 3). */
export function cutCharacterBytes(bytes: Buffer, limit: number): number {
  for (let back = 1; back <= 3 && back <= limit; back += 1) {
    const byte = bytes[limit - back] as number;
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) {
      const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return byte < 0xf8 && back < length ? back : 0;
    }
  }
  return 0;
}
