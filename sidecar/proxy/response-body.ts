/**
 * Owns how the body of one response becomes lines: events, chunks or one inline body, decoded for the record.
 * Invariant: bytes are offered for release only together with, or after, the lines that hold what can be decoded from
 * them; `wire_bytes` of all lines sum to the bytes received; what is unfinished waits at most 20 ms.
 */
import { encodeChunkTail, encodeEventTail } from '@mcp-recorder/recording/format/encode';
import { bodyOf, splitBody } from '@mcp-recorder/recording/format/body';
import type { Body, Call, Masked, Withheld } from '@mcp-recorder/recording/format/line';
import { isJsonContentType } from '../exchange/classify.ts';
import type { Message } from '../exchange/json-scan.ts';
import { scanMessages } from '../exchange/json-scan.ts';
import { createSseSplitter, type SsePiece } from '../exchange/sse.ts';
import { maskEndpoint } from '../exchange/sse-endpoint.ts';
import { sessionIdOf } from '../exchange/target.ts';
import type { LineTail } from '../spool/spool.ts';
import { createStreamDecoder, type DecodeFailure, readCoding } from './content-coding.ts';
import type { Exchange } from './exchange.ts';
import { headerOf } from './headers.ts';
import { createMessageWatch, readMessages } from './message-watch.ts';

/** A whole body up to this size goes on the `response` line itself (bytes; escapes may double it and stay in a line). */
export const INLINE_BYTES = 128 * 1024;
/** How long an unfinished event or a cut character may wait for the rest (ms). */
const PARTIAL_MS = 20;
/** An unfinished event longer than this is recorded and released in pieces (bytes). */
const PENDING_BYTES = 64 * 1024;
/** Bodies longer than this are recorded but not read for JSON-RPC messages (bytes). */
const READ_BYTES = 4 * 1024 * 1024;

export interface BodyRecorder {
  readonly isEventStream: boolean;
  /** True when a whole body may go on the `response` line. */
  readonly inlineable: boolean;
  /** The columns of a whole body that goes on the `response` line. */
  inline(bytes: Buffer): Body;
  push(bytes: Buffer): void;
  /** Nothing more comes from the server. */
  end(): void;
  /** Moves the lines made so far, and the bytes that may be released once these are durable. */
  take(tails: LineTail[], bytes: Buffer[]): void;
  /** True when the end was reached and all lines are made. */
  readonly done: boolean;
  /** Messages may be missing from the record's `calls` and results: the body was too long to be read. */
  readonly tooLarge: boolean;
  close(): void;
}

const NO_BYTES = Buffer.alloc(0);

/**
 * @param headers of the response, flat
 * @param onPiece called when lines or bytes became ready later than the push that brought them
 */
export function createBodyRecorder(
  exchange: Exchange,
  headers: readonly string[],
  onPiece: () => void,
): BodyRecorder {
  const contentType = headerOf(headers, 'content-type');
  const coding = readCoding(headerOf(headers, 'content-encoding'));
  const isSse = contentType !== null && /^\s*text\/event-stream\s*(;|$)/i.test(contentType);
  const splitter = isSse ? createSseSplitter({ maxPendingBytes: PENDING_BYTES }) : null;
  const watch =
    !isSse && (contentType === null || isJsonContentType(contentType))
      ? createMessageWatch(READ_BYTES)
      : null;
  const decoder = coding === null || coding === 'unknown' ? null : createStreamDecoder(coding);
  let failure: DecodeFailure | null = coding === 'unknown' ? 'not_decodable' : null;
  let tails: LineTail[] = [];
  let releasable: Buffer[] = [];
  /** Encoded bytes that wait until all that they decode to is on a line. */
  let held: Buffer[] = [];
  /** Wire bytes not yet counted on a line. */
  let uncounted = 0;
  let offset = 0;
  let cutCharacter = NO_BYTES;
  let sseTooLarge = false;
  let timer: NodeJS.Timeout | null = null;
  const undecoded: Buffer[] = [];
  let decoding = false;
  let endReached = false;
  let finished = false;

  function counted(): number {
    const bytes = uncounted;
    uncounted = 0;
    return bytes;
  }

  function chunkLine(body: Body): void {
    tails.push(
      encodeChunkTail({
        exchange: exchange.id,
        part: exchange.nextPart(),
        ...exchange.known(),
        sender: 'server',
        body_offset: offset,
        ...body,
      }),
    );
  }

  function chunkLines(bytes: Buffer, calls: Call[]): void {
    const pieces = splitBody(bytes);
    for (const [i, piece] of pieces.entries()) {
      const last = i === pieces.length - 1;
      chunkLine({ ...bodyOf(piece), wire_bytes: counted(), ...(last && calls.length > 0 ? { calls } : {}) });
      offset += piece.length;
    }
    exchange.takeResults(tails);
  }

  /** Records decoded bytes of a body that is no event stream. */
  function recordChunk(decoded: Buffer): void {
    let bytes = cutCharacter.length === 0 ? decoded : Buffer.concat([cutCharacter, decoded]);
    const cut = cutBytes(bytes);
    cutCharacter = cut === 0 ? NO_BYTES : Buffer.from(bytes.subarray(bytes.length - cut));
    if (cut > 0) bytes = bytes.subarray(0, bytes.length - cut);
    if (bytes.length === 0) return;
    const messages = watch === null ? [] : watch.push(bytes);
    if (decoder === null) {
      uncounted += bytes.length;
      releasable.push(bytes);
    }
    chunkLines(bytes, exchange.takeMessages(messages, 'server'));
  }

  function recordEvents(pieces: SsePiece[]): void {
    for (const piece of pieces) recordEvent(piece);
  }

  function recordEvent(piece: SsePiece): void {
    if (decoder === null) {
      uncounted += piece.bytes.length;
      releasable.push(piece.bytes);
    }
    if (piece.dataTooLarge) sseTooLarge = true;
    let { body } = piece;
    let masked: Masked[] | undefined;
    if (piece.eventName === 'endpoint' && piece.data !== null) {
      body = recordEndpoint(piece.data);
      if (body !== piece.data) masked = [{ rule: 'session-id', count: 1 }];
    }
    const messages = piece.data === null ? NO_MESSAGES : messagesOf(piece.data);
    const calls = exchange.takeMessages(messages, 'server');
    if (piece.utf8) {
      tails.push(
        encodeEventTail({
          exchange: exchange.id,
          part: exchange.nextPart(),
          ...exchange.known(),
          sse: piece.sse,
          body,
          body_encoding: 'utf8',
          wire_bytes: counted(),
          ...(masked === undefined ? {} : { masked }),
          ...(calls.length > 0 ? { calls } : {}),
        }),
      );
      offset += piece.bytes.length;
      exchange.takeResults(tails);
    } else {
      chunkLines(piece.bytes, calls);
    }
  }

  /** The session of an HTTP+SSE stream is named by its first event (MCP 2024-11-05). */
  function recordEndpoint(data: string): string {
    const { sessions, metrics, warn } = exchange.context;
    const endpoint = maskEndpoint(data, sessions.hash);
    const sessionId = sessionIdOf(data);
    if (sessionId !== null) exchange.nameSession({ sseSessionId: sessionId });
    if (endpoint.absoluteOrigin !== null) {
      metrics.endpointAlarm();
      warn('the server sends its clients to another origin, around the recorder', {
        origin: endpoint.absoluteOrigin,
        exchange: exchange.id,
        hint: 'make the server name a path, not a URL, in its endpoint event',
      });
    }
    return endpoint.data;
  }

  function record(decoded: Buffer): void {
    if (decoded.length > 0) {
      if (splitter === null) recordChunk(decoded);
      else recordEvents(splitter.push(decoded));
    }
    if (pending() === 0) releaseHeld();
    else timer ??= setTimeout(flushPartial, PARTIAL_MS);
  }

  function pending(): number {
    return splitter === null ? cutCharacter.length : splitter.pending;
  }

  function releaseHeld(): void {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    if (held.length === 0) return;
    releasable.push(...held);
    held = [];
  }

  function flushCutCharacter(): void {
    if (cutCharacter.length === 0) return;
    const bytes = cutCharacter;
    cutCharacter = NO_BYTES;
    if (decoder === null) {
      uncounted += bytes.length;
      releasable.push(bytes);
    }
    chunkLines(bytes, exchange.takeMessages(watch?.push(bytes) ?? NO_MESSAGES, 'server'));
  }

  function flushPartial(): void {
    timer = null;
    if (splitter === null) flushCutCharacter();
    else recordEvents(splitter.flushPartial());
    if (decoder !== null) {
      // A character or field name that is cut in the middle can't be shown to anybody: its bytes may go.
      releaseHeld();
    }
    onPiece();
  }

  /** What can't be decoded passes all the same; the record says how many bytes it does not show. */
  function withhold(bytes: Buffer, reason: Withheld['reason']): void {
    uncounted += bytes.length;
    chunkLine({
      body: null,
      body_encoding: null,
      wire_bytes: counted(),
      withheld: { reason, bytes: bytes.length },
    });
    releasable.push(...held, bytes);
    held = [];
  }

  function decodeNext(): void {
    if (decoding || finished) return;
    const bytes = undecoded.shift();
    if (bytes === undefined) {
      if (endReached) finish();
      return;
    }
    if (failure !== null) {
      withhold(bytes, failure);
      decodeNext();
      return;
    }
    decoding = true;
    decoder?.push(bytes, (decoded, problem) => {
      decoding = false;
      if (problem === null) {
        uncounted += bytes.length;
        held.push(bytes);
      }
      record(decoded);
      if (problem !== null) {
        failure = problem;
        withhold(bytes, problem);
      }
      decodeNext();
      onPiece();
    });
  }

  function finish(): void {
    if (finished) return;
    finished = true;
    if (splitter !== null) recordEvents(splitter.end());
    flushCutCharacter();
    releaseHeld();
    const calls = exchange.takeMessages(watch?.end() ?? NO_MESSAGES, 'server');
    if (uncounted > 0 || calls.length > 0) {
      chunkLine({
        body: '',
        body_encoding: 'utf8',
        wire_bytes: counted(),
        ...(calls.length > 0 ? { calls } : {}),
      });
    }
    exchange.takeResults(tails);
  }

  return {
    isEventStream: isSse,
    inlineable: coding === null && !isSse,
    inline(bytes) {
      finished = true;
      if (bytes.length === 0) return { body: null, body_encoding: null, wire_bytes: 0 };
      const messages = watch === null ? NO_MESSAGES : readMessages(bytes);
      const calls = exchange.takeMessages(messages, 'server');
      return { ...bodyOf(bytes), wire_bytes: bytes.length, ...(calls.length > 0 ? { calls } : {}) };
    },
    push(bytes) {
      if (coding === null) {
        record(bytes);
        return;
      }
      undecoded.push(bytes);
      decodeNext();
    },
    end() {
      if (endReached) return;
      endReached = true;
      if (coding === null) finish();
      else decodeNext();
    },
    take(into, bytes) {
      if (tails.length > 0) {
        into.push(...tails);
        tails = [];
      }
      if (releasable.length > 0) {
        bytes.push(...releasable);
        releasable = [];
      }
    },
    get done() {
      return finished;
    },
    get tooLarge() {
      return sseTooLarge || (watch?.tooLarge ?? false);
    },
    close() {
      finished = true;
      if (timer !== null) clearTimeout(timer);
      timer = null;
      decoder?.close();
    },
  };
}

const NO_MESSAGES: Message[] = [];

function messagesOf(data: string): Message[] {
  const first = data.trimStart().charCodeAt(0);
  if (first !== 0x7b && first !== 0x5b) return NO_MESSAGES;
  const scanned = scanMessages(data);
  return scanned.ok ? scanned.messages : NO_MESSAGES;
}

/** How many bytes at the end begin a UTF-8 character that is not whole yet (0 to 3). */
function cutBytes(bytes: Buffer): number {
  const { length } = bytes;
  for (let back = 1; back <= 3 && back <= length; back++) {
    const byte = bytes[length - back] as number;
    if ((byte & 0xc0) === 0x80) continue;
    const needed = byte >= 0xf0 && byte < 0xf8 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return byte < 0xf8 && needed > back ? back : 0;
  }
  return 0;
}
