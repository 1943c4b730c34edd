/**
 * Owns the cutting of a text/event-stream into recordable pieces (WHATWG HTML 9.2.6).
 * Invariant: the pieces' bytes, in order, are the stream's bytes; of each valid UTF-8 piece prefix + body + suffix is its text.
 */
import type { Sse } from '@mcp-recorder/recording/format/line';

export interface SsePiece {
  /** Exactly the bytes of the wire; at most `maxPendingBytes` + 1. */
  bytes: Buffer;
  /** False: the bytes are no UTF-8, the whole piece is recorded as base64; `sse` and `body` are then a best reading. */
  utf8: boolean;
  /** `data_lines` counts the event's lines so far; `id` is the event's own, on its last piece. */
  sse: Sse;
  body: string;
  /** Data of the event as a client gets it, on its last piece; null without data, or with more than 4 MiB. */
  data: string | null;
  /** True when the event's data was more than 4 MiB, so that `data` could not be given. */
  dataTooLarge: boolean;
  /** `event:` of the event, on its last piece. */
  eventName: string | null;
}

export interface SseSplitter {
  /** Events that became complete, and pieces of one that grew past the bound. */
  push(bytes: Buffer): SsePiece[];
  /** What is pending, except a cut character or a cut `data:` (at most 8 bytes), as an unfinished piece. */
  flushPartial(): SsePiece[];
  /** The stream ended: everything that is left, as an unfinished piece. */
  end(): SsePiece[];
  /** Bytes taken and not yet given out. */
  readonly pending: number;
}

export function createSseSplitter(_options: { maxPendingBytes: number }): SseSplitter {
  throw new Error('not yet');
}
