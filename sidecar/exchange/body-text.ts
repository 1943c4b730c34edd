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
