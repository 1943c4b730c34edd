/**
 * Owns the cutting of a text/event-stream into recordable pieces (WHATWG HTML 9.2.6).
 * Invariant: the pieces' bytes, in order, are the stream's bytes; of each UTF-8 piece prefix + body + suffix is its text;
 * over the pieces of one event, prefix comes before body and body before suffix.
 */
import { Buffer, isUtf8 } from 'node:buffer';
import type { Sse } from '@mcp-recorder/recording/format/line';
import { cutCharacterBytes } from './body-text.ts';
import { createEventReader, type EventReader } from './sse-event.ts';

export interface SsePiece {
  /** Exactly the bytes of the wire; at most `maxPendingBytes` and one line feed. */
  bytes: Buffer;
  /** False: the bytes are no UTF-8, the whole piece is recorded as base64; `sse` and `body` are then a lossy reading. */
  utf8: boolean;
  /** `data_lines` counts the event's lines so far; `id` is the event's own, on its last piece. */
  sse: Sse;
  body: string;
  /** Data of the event as a client gets it, on its last piece; null without data, or with more than 4 MiB. */
  data: string | null;
  /** True on the last piece of an event whose data is too long to be given. */
  dataTooLarge: boolean;
  /** `event:` of the event, on its last piece. */
  eventName: string | null;
}

export interface SseSplitter {
  /** Events that became complete, and pieces of one that grew past the bound. The bytes given must not change later. */
  push(bytes: Buffer): SsePiece[];
  /** What is pending, except a cut character or a cut `data: ` (at most 9 bytes), as an unfinished piece. */
  flushPartial(): SsePiece[];
  /** The stream ended: everything that is left, as an unfinished piece. */
  end(): SsePiece[];
  /** Bytes taken and not yet given out. */
  readonly pending: number;
}

const LF = 0x0a;
const CR = 0x0d;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
const NO_BYTES = Buffer.alloc(0);

/**
 * Makes a splitter for one stream.
 * @param options.maxPendingBytes an event longer than this is given out in pieces (at least 32)
 */
export function createSseSplitter({ maxPendingBytes }: { maxPendingBytes: number }): SseSplitter {
  /** Bytes of the current piece, from its first; `room` is its memory when it is our own and may grow. */
  let work: Buffer = NO_BYTES;
  let room: Buffer | null = null;
  let lineStart = 0;
  /** Everything before this index was searched for a line end. */
  let searched = 0;
  /** The last byte before `work` ended a line by CR: an LF that follows belongs to that line end. */
  let afterCr = false;
  let streamStart = true;
  const event: EventReader = createEventReader();

  function take(bytes: Buffer): void {
    if (work.length === 0) {
      work = bytes;
      room = null;
      return;
    }
    const length = work.length + bytes.length;
    if (room === null || room.length < length) {
      room = Buffer.allocUnsafe(Math.max(1024, 2 * length));
      work.copy(room);
    }
    bytes.copy(room, work.length);
    work = room.subarray(0, length);
  }

  /** Gives out the first `end` bytes. */
  function pieceOf(end: number, complete: boolean): SsePiece {
    const bytes = work.subarray(0, end);
    const { prefixEnd, bodyEnd, data, id, eventName, dataLines, dataTooLarge } = event.cutAt(bytes, complete);
    // An empty view would keep the memory of its chunk alive for as long as the stream is idle.
    work = end === work.length ? NO_BYTES : work.subarray(end);
    room = null;
    lineStart = 0;
    searched = Math.max(0, searched - end);
    const body = bytes.toString('utf8', prefixEnd, bodyEnd);
    const sse = {
      prefix: bytes.toString('utf8', 0, prefixEnd),
      suffix: bytes.toString('utf8', bodyEnd),
      id,
      data_lines: dataLines,
      partial: !complete,
    };
    return { bytes, utf8: isUtf8(bytes), sse, body, data, dataTooLarge, eventName };
  }

  /** Gives out what is before `limit`, an unfinished event; a cut character and a cut `data: ` wait. */
  function unfinishedPiece(limit: number): SsePiece | null {
    let end = limit - cutCharacterBytes(work, limit);
    if (event.atLineStart && event.mayBecomeData(work, lineStart, end)) end = lineStart;
    if (end === 0) return null;
    if (end > lineStart) event.cutLine(work, lineStart, end);
    return pieceOf(end, false);
  }

  /** Skips what stands before a line without being part of it: a byte order mark, and the LF of a CR LF. */
  function beginLine(): boolean {
    if (afterCr && lineStart < work.length) {
      if (work[lineStart] === LF) lineStart += 1;
      afterCr = false;
    }
    if (streamStart) {
      const start = work.subarray(0, 3);
      if (start.length < 3 && BOM.subarray(0, start.length).equals(start)) return false;
      if (start.equals(BOM)) lineStart = 3;
      streamStart = false;
    }
    if (searched < lineStart) searched = lineStart;
    return true;
  }

  function split(pieces: SsePiece[]): void {
    while (work.length > 0 && beginLine()) {
      const limit = Math.min(work.length, maxPendingBytes);
      const lineEnd = findLineEnd(work, searched, limit);
      if (lineEnd === -1) {
        searched = limit;
        if (work.length <= maxPendingBytes) return;
        const piece = unfinishedPiece(limit);
        if (piece !== null) pieces.push(piece);
        continue;
      }
      const isEventEnd = event.takeLine(work, lineStart, lineEnd);
      let next = lineEnd + 1;
      if (work[lineEnd] === CR) {
        if (work[next] === LF) next += 1;
        else afterCr = next === work.length;
      }
      lineStart = next;
      searched = next;
      if (isEventEnd) pieces.push(pieceOf(next, true));
    }
  }

  return {
    push(bytes) {
      const pieces: SsePiece[] = [];
      if (bytes.length === 0) return pieces;
      take(bytes);
      split(pieces);
      return pieces;
    },
    flushPartial() {
      const piece = work.length === 0 ? null : unfinishedPiece(work.length);
      return piece === null ? [] : [piece];
    },
    end() {
      if (work.length === 0) return [];
      if (work.length > lineStart) event.cutLine(work, lineStart, work.length);
      return [pieceOf(work.length, false)];
    },
    get pending() {
      return work.length;
    },
  };
}

function findLineEnd(bytes: Buffer, from: number, limit: number): number {
  for (let index = from; index < limit; index += 1) {
    const byte = bytes[index];
    if (byte === LF || byte === CR) return index;
  }
  return -1;
}
