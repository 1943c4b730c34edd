/**
 * Owns readings of a text in which some characters are spelled otherwise, and which piece of the text each character comes from.
 * Invariant: `starts` has one index for each character of the reading and one behind it, and never decreases.
 */
import { Buffer } from 'node:buffer';

export interface DecodedView {
  text: string;
  /** Where in the source each character of `text` begins. */
  starts: Uint32Array;
}

const PERCENT = /(?:%[0-9A-Fa-f]{2})+/g;
const PERCENT_OR_PLUS = /(?:%[0-9A-Fa-f]{2})+|\+/g;
const ESCAPES = /\\(?:u[0-9A-Fa-f]{4}|["\\/bfnrt])/g;
const SIMPLE: Record<string, string> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

/** Reads JSON's escapes; null when there are none. */
export function readEscapes(text: string): DecodedView | null {
  if (!text.includes('\\')) return null;
  return read(text, ESCAPES, (escape) => {
    const kind = escape[1] as string;
    const character =
      kind === 'u' ? String.fromCharCode(Number.parseInt(escape.slice(2), 16)) : (SIMPLE[kind] ?? kind);
    return { characters: character, width: () => escape.length };
  });
}

/** Reads percent-encoding (RFC 3986 2.1), and of forms the plus signs; null when there is none. */
export function readPercent(text: string, form: boolean): DecodedView | null {
  if (!text.includes('%') && !(form && text.includes('+'))) return null;
  return read(text, form ? PERCENT_OR_PLUS : PERCENT, (escape) => {
    if (escape === '+') return { characters: ' ', width: () => 1 };
    const bytes = Buffer.from(escape.replaceAll('%', ''), 'hex');
    const decoded = bytes.toString('utf8');
    // Of bytes that are no UTF-8 each is a character of its own.
    const characters = Buffer.from(decoded).equals(bytes) ? decoded : bytes.toString('latin1');
    return { characters, width: characters === decoded ? (one) => 3 * Buffer.byteLength(one) : () => 3 };
  });
}

/** What an escape means, and how long each character of it is in the source. */
interface Decoded {
  characters: string;
  width: (one: string) => number;
}

function read(text: string, pattern: RegExp, decode: (escape: string) => Decoded): DecodedView | null {
  const starts = new Uint32Array(text.length + 1);
  let decoded = '';
  let done = 0;
  const copy = (end: number): void => {
    for (let index = done; index < end; index += 1) starts[decoded.length + index - done] = index;
    decoded += text.slice(done, end);
  };
  for (const { index, 0: escape } of text.matchAll(pattern)) {
    copy(index);
    const { characters, width } = decode(escape);
    let at = index;
    let place = decoded.length;
    for (const one of characters) {
      starts.fill(at, place, place + one.length);
      place += one.length;
      at += width(one);
    }
    decoded += characters;
    done = index + escape.length;
  }
  if (done === 0) return null;
  copy(text.length);
  starts[decoded.length] = text.length;
  return { text: decoded, starts: starts.subarray(0, decoded.length + 1) };
}
