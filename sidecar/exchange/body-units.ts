/**
 * Owns the cutting of a body that is no event stream into units: the whole body, or its lines where each is a JSON text by itself.
 * Invariant: the pieces' bytes, in order, are the body's bytes; what is kept of a unit is at most `maxPendingBytes` before it is given out, and
 * `MAX_READ_BYTES` after.
 */
import { Buffer } from 'node:buffer';
import { cutCharacterBytes, decodeBodyText } from './body-text.ts';
import { scanMessages } from './json-scan.ts';

export interface BodyPiece {
  bytes: Buffer;
  /** Nothing more of its unit follows. */
  last: boolean;
  /** On the last piece: the unit from its beginning; null when it is too long to be read. */
  unit: Buffer | null;
}

export interface BodyUnits {
  /** Units that became complete, and pieces of one that grew past the bound. The bytes given must not change later. */
  push(bytes: Buffer): BodyPiece[];
  /** What is pending, except a cut character, as an unfinished piece. */
  flushPartial(): BodyPiece[];
  /** The body ended, so that what is left is complete. */
  end(): BodyPiece[];
  /** Bytes taken and not yet given out. */
  readonly pending: number;
}

/** Units longer than this are not given to be read (bytes). */
const MAX_READ_BYTES = 4 * 1024 * 1024;
const LINE_FEED = 10;
const NO_BYTES = Buffer.alloc(0);
const WHITE_SPACE = new Set([0x20, 0x09, 0x0d, LINE_FEED]);

/** @param options.maxPendingBytes a unit longer than this is given out in pieces */
export function createBodyUnits({ maxPendingBytes }: { maxPendingBytes: number }): BodyUnits {
  /** Unknown until the first line is complete: is it a JSON text by itself, or a part of one? */
  let byLine: boolean | null = null;
  /** Of the unit that is not complete: what waits, and what was given out of it and may have to be read. */
  let waiting: Buffer[] = [];
  let pending = 0;
  let given: Buffer[] = [];
  let unitBytes = 0;
  /** Nothing but white space came so far. */
  let unitBlank = true;

  function take(bytes: Buffer, pieces: BodyPiece[]): void {
    if (bytes.length === 0) return;
    waiting.push(bytes);
    pending += bytes.length;
    unitBytes += bytes.length;
    if (pending > maxPendingBytes) giveOut(pieces);
  }

  function joined(): Buffer {
    const bytes = waiting.length === 1 ? (waiting[0] as Buffer) : Buffer.concat(waiting);
    waiting = [];
    pending = 0;
    return bytes;
  }

  function giveOut(pieces: BodyPiece[]): void {
    let bytes = joined();
    const cut = cutCharacterBytes(bytes, bytes.length);
    if (cut > 0) {
      waiting = [bytes.subarray(bytes.length - cut)];
      pending = cut;
      bytes = bytes.subarray(0, bytes.length - cut);
    }
    if (bytes.length === 0) return;
    if (unitBytes > MAX_READ_BYTES) given = [];
    else given.push(bytes);
    pieces.push({ bytes, last: false, unit: null });
  }

  function complete(pieces: BodyPiece[]): void {
    if (unitBytes === 0) return;
    const bytes = pending === 0 ? NO_BYTES : joined();
    let unit: Buffer | null = null;
    if (given.length === 0 && unitBytes === bytes.length) unit = bytes;
    else if (unitBytes <= MAX_READ_BYTES) unit = Buffer.concat([...given, bytes]);
    given = [];
    unitBytes = 0;
    pieces.push({ bytes, last: true, unit });
  }

  /** Where the line ends that begins here; blank lines before the first one are part of it, as they say nothing of what the body is. */
  function lineEndAfter(bytes: Buffer, start: number): number {
    if (byLine !== null || !unitBlank) return bytes.indexOf(LINE_FEED, start);
    const filled = filledFrom(bytes, start);
    unitBlank = filled === bytes.length;
    return unitBlank ? -1 : bytes.indexOf(LINE_FEED, filled);
  }

  /** A line ended. */
  function lineEnded(pieces: BodyPiece[]): void {
    if (byLine === null) {
      if (unitBytes > MAX_READ_BYTES) {
        byLine = false;
        return;
      }
      const line = Buffer.concat([...given, ...waiting]);
      byLine = isJsonText(line);
    }
    if (byLine) complete(pieces);
  }

  return {
    push(bytes) {
      const pieces: BodyPiece[] = [];
      let start = 0;
      while (byLine !== false) {
        const end = lineEndAfter(bytes, start);
        if (end === -1) break;
        take(bytes.subarray(start, end + 1), pieces);
        start = end + 1;
        lineEnded(pieces);
      }
      take(bytes.subarray(start), pieces);
      return pieces;
    },
    flushPartial() {
      const pieces: BodyPiece[] = [];
      giveOut(pieces);
      return pieces;
    },
    end() {
      const pieces: BodyPiece[] = [];
      complete(pieces);
      return pieces;
    },
    get pending() {
      return pending;
    },
  };
}

/** Index of the first byte that is no white space; the length when there is none. */
function filledFrom(bytes: Buffer, start: number): number {
  let index = start;
  while (index < bytes.length && WHITE_SPACE.has(bytes[index] as number)) index += 1;
  return index;
}

function isJsonText(line: Buffer): boolean {
  const decoded = decodeBodyText(line);
  if (!decoded.ok) return false;
  const first = decoded.text.trimStart().charCodeAt(0);
  return (first === 0x7b || first === 0x5b) && scanMessages(decoded.text).ok;
}
