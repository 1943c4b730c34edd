/**
 * Owns how bytes become the `body` columns of lines, and where a long body is cut.
 * Invariant: no piece makes a line longer than its bound, no piece cuts a UTF-8 character, and the pieces are the body.
 */
import { isUtf8 } from 'node:buffer';

/** A serialized line is at most this long, line feed excluded. */
export const MAX_LINE_BYTES = 1024 * 1024;
/** What a body piece may take of it: the rest is for the other columns, each of which is bounded. */
const MAX_BODY_TEXT_BYTES = MAX_LINE_BYTES - 16 * 1024;

/** Bytes of each byte's JSON text within a string: `"` and `\` take two, control characters two or six. */
const ESCAPED_BYTES = Uint8Array.from(
  { length: 256 },
  (_, byte) => JSON.stringify(String.fromCharCode(byte)).length - 2,
);

/** The columns `body` and `body_encoding` for these bytes: text when they are valid UTF-8, else base64. */
export function bodyOf(bytes: Uint8Array): { body: string; body_encoding: 'utf8' | 'base64' } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return isUtf8(buffer)
    ? { body: buffer.toString('utf8'), body_encoding: 'utf8' }
    : { body: buffer.toString('base64'), body_encoding: 'base64' };
}

/**
 * Cuts a body into pieces whose JSON text takes at most `maxTextBytes` each; views, not copies. Never empty:
 * an empty body is one empty piece. Valid UTF-8 is cut between characters, so that each piece is valid too.
 */
export function splitBody(bytes: Buffer, maxTextBytes: number = MAX_BODY_TEXT_BYTES): Buffer[] {
  if (bytes.length * 6 <= maxTextBytes) return [bytes];
  if (!isUtf8(bytes)) return splitEvery(bytes, Math.floor(maxTextBytes / 6));
  const pieces: Buffer[] = [];
  let start = 0;
  let taken = 0;
  for (let i = 0; i < bytes.length; i += 1) {
    taken += ESCAPED_BYTES[bytes[i] as number] as number;
    if (taken <= maxTextBytes) continue;
    let cut = i;
    while (cut > start && ((bytes[cut] as number) & 0xc0) === 0x80) cut -= 1;
    if (cut === start)
      throw new RangeError(`a bound of ${maxTextBytes} bytes is too small for one character`);
    pieces.push(bytes.subarray(start, cut));
    start = cut;
    taken = 0;
    i = cut - 1;
  }
  pieces.push(bytes.subarray(start));
  return pieces;
}

/** Pieces of a body that is no valid UTF-8; each is small enough for both encodings, as single pieces may be valid. */
function splitEvery(bytes: Buffer, size: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let start = 0; start < bytes.length; start += size) pieces.push(bytes.subarray(start, start + size));
  return pieces;
}
