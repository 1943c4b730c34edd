/**
 * Owns the buffer in which one batch of lines becomes the bytes of one frame.
 * Invariant: a line is encoded once, straight into the bytes that are written, and hashed there.
 */
import { type Latin1Hash, leafHashInPlace } from '@mcp-recorder/recording/proof/merkle';
import { FRAME_HEAD_BYTES, HEADER_BYTES, writeFrameHead, writeHeader } from './frame.ts';

/** Node's own writer without the checks of `write`; not in its types. */
type FastBuffer = Buffer & { utf8Write(text: string, at: number, maxBytes: number): number };

/** The header's place is kept in every batch: only the first of a file fills it. */
const LINES_AT = HEADER_BYTES + FRAME_HEAD_BYTES;
const LINE_LIMIT_BYTES = 1024 * 1024;
const SLACK_BYTES = 64 * 1024;
const LF = 0x0a;

export interface Batch {
  /** Bytes of lines so far. */
  readonly size: number;
  clear(): void;
  /** Adds the line `head + tail`; its leaf. */
  add(head: string, tail: string): Latin1Hash;
  /** The lines so far; good until `clear`. */
  lines(): Buffer;
  /** The bytes for the file; good until `clear`. `header`: for the first batch of a file. */
  frame(
    batch: number,
    seedCrc: number,
    header: { stream: string; segment: number; salt: Uint8Array } | null,
  ): Buffer;
}

/** @param batchBytes how full it gets before the last line is added */
export function createBatch(batchBytes: number): Batch {
  const usual = Buffer.allocUnsafeSlow(LINES_AT + batchBytes + LINE_LIMIT_BYTES + SLACK_BYTES) as FastBuffer;
  let buffer = usual;
  let end = LINES_AT;

  /** Lines above the format's limit, or many before a seal: nobody is refused for them. */
  function grow(needed: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, buffer.length * 2)) as FastBuffer;
    buffer.copy(larger, 0, 0, end);
    buffer = larger;
  }

  return {
    get size() {
      return end - LINES_AT;
    },
    clear() {
      buffer = usual;
      end = LINES_AT;
    },
    add(head, tail) {
      // UTF-8 takes at most three bytes for a UTF-16 unit.
      const most = end + (head.length + tail.length) * 3 + 1;
      if (most > buffer.length) grow(most);
      const start = end;
      let at = start + buffer.utf8Write(head, start, buffer.length - start);
      at += buffer.utf8Write(tail, at, buffer.length - at);
      buffer[at] = LF;
      end = at + 1;
      return leafHashInPlace(buffer, start, at);
    },
    lines: () => buffer.subarray(LINES_AT, end),
    frame(batch, seedCrc, header) {
      writeFrameHead(buffer, HEADER_BYTES, end, batch, seedCrc);
      if (header === null) return buffer.subarray(HEADER_BYTES, end);
      writeHeader(buffer, header.stream, header.segment, header.salt);
      return buffer.subarray(0, end);
    },
  };
}
