/**
 * Owns how the body of one response becomes lines as it comes: events, chunks or one inline body, decoded for the record.
 * Invariant: bytes are offered for release only together with, or after, the lines that hold what can be decoded from
 * them; `wire_bytes` of all lines sum to the bytes received; what is unfinished waits at most 20 ms.
 */
import type { Masked } from '@mcp-recorder/recording/format/line';
import { cutCharacterBytes } from '../exchange/body-text.ts';
import { isJsonContentType } from '../exchange/classify.ts';
import type { Message } from '../exchange/json-scan.ts';
import { createSseSplitter, type SsePiece, type SseSplitter } from '../exchange/sse.ts';
import type { LineTail } from '../spool/spool.ts';
import { BodyLines, NO_NOTES } from './body-lines.ts';
import { type DecodeFailure, readCoding } from './content-coding.ts';
import { DecodeQueue } from './decode-queue.ts';
import { recordEndpoint } from './endpoint-event.ts';
import type { Exchange } from './exchange.ts';
import { headerOf } from './headers.ts';
import { createMessageWatch, type MessageWatch, readMessages } from './message-watch.ts';

/** A whole body up to this size goes on the `response` line itself (bytes; escapes may double it and stay in a line). */
export const INLINE_BYTES = 128 * 1024;
/** How long an unfinished event or a cut character may wait for the rest (ms). */
const PARTIAL_MS = 20;
/** An unfinished event longer than this is recorded and released in pieces (bytes). */
const PENDING_BYTES = 64 * 1024;
/** Bodies longer than this are recorded but not read for JSON-RPC messages (bytes). */
const READ_BYTES = 4 * 1024 * 1024;

const NO_BYTES = Buffer.alloc(0);

/** What makes lines of a body that streams. */
export interface ResponseBody {
  readonly isEventStream: boolean;
  /** True when the end was reached and all lines are made. */
  readonly done: boolean;
  /** Messages may be missing from the record's `calls` and results: the body was too long to be read. */
  readonly tooLarge: boolean;
  /** What comes from here on must not reach the client. */
  readonly broken: boolean;
  /** Bytes that wait on purpose for more of them: the server must not be made to wait for their release. */
  readonly waiting: number;
  push(bytes: Buffer): void;
  /** Nothing more comes from the server. @param whole false: the body broke off */
  end(whole: boolean): void;
  /**
   * Moves the lines made so far, and the bytes that may be released once these are durable.
   * @returns how many of the bytes that were pushed are thereby done with
   */
  take(tails: LineTail[], bytes: Buffer[]): number;
  close(): void;
}

/** True for the media type of event streams, parameters ignored. */
export function isEventStream(contentType: string | null): boolean {
  return contentType !== null && /^\s*text\/event-stream\s*(;|$)/i.test(contentType);
}

/** True when a body of this type may be JSON-RPC messages. */
export function mayBeMessages(contentType: string | null): boolean {
  return contentType === null || isJsonContentType(contentType);
}

/** True when a whole body with these headers may go on the `response` line: neither coded nor an event stream. */
export function isInlineable(headers: readonly string[]): boolean {
  return (
    readCoding(headerOf(headers, 'content-encoding')) === null &&
    !isEventStream(headerOf(headers, 'content-type'))
  );
}

/** The lines of a body that streams, of which nothing is masked, hidden or withheld. */
export class BodyRecorder implements ResponseBody {
  readonly isEventStream: boolean;
  readonly broken = false;
  readonly waiting = 0;
  readonly #exchange: Exchange;
  readonly #onPiece: () => void;
  readonly #splitter: SseSplitter | null;
  readonly #watch: MessageWatch | null;
  readonly #decoding: DecodeQueue | null;
  readonly #lines: BodyLines;
  #releasable: Buffer[] = [];
  /** Encoded bytes that wait until all that they decode to is on a line. */
  #held: Buffer[] = [];
  #cutCharacter = NO_BYTES;
  /** The first event may tell the client its session id, and is not whole yet. */
  #endpointAwaited: boolean;
  #eventTooLarge = false;
  #timer: NodeJS.Timeout | null = null;
  #endReached = false;
  #finished = false;

  /**
   * @param headers of the response, flat
   * @param onPiece called when lines or bytes became ready later than the push that brought them
   */
  constructor(exchange: Exchange, headers: readonly string[], onPiece: () => void) {
    const contentType = headerOf(headers, 'content-type');
    const coding = readCoding(headerOf(headers, 'content-encoding'));
    this.isEventStream = isEventStream(contentType);
    this.#exchange = exchange;
    this.#onPiece = onPiece;
    this.#lines = new BodyLines(exchange);
    this.#splitter = this.isEventStream ? createSseSplitter({ maxPendingBytes: PENDING_BYTES }) : null;
    this.#watch = !this.isEventStream && mayBeMessages(contentType) ? createMessageWatch(READ_BYTES) : null;
    this.#endpointAwaited = this.isEventStream && exchange.mayOpenSession;
    this.#decoding =
      coding === null
        ? null
        : new DecodeQueue(coding, {
            decoded: (bytes, decoded, failure) => this.#decoded(bytes, decoded, failure),
            ended: () => {
              this.#finish();
              onPiece();
            },
          });
  }

  get done(): boolean {
    return this.#finished;
  }

  get tooLarge(): boolean {
    return this.#eventTooLarge || (this.#watch?.tooLarge ?? false);
  }

  push(bytes: Buffer): void {
    if (this.#decoding === null) this.#record(bytes);
    else this.#decoding.push(bytes);
  }

  end(): void {
    if (this.#endReached) return;
    this.#endReached = true;
    if (this.#decoding === null) this.#finish();
    else this.#decoding.end();
  }

  take(tails: LineTail[], bytes: Buffer[]): number {
    this.#lines.take(tails);
    let taken = 0;
    if (this.#releasable.length > 0) {
      for (const piece of this.#releasable) {
        bytes.push(piece);
        taken += piece.length;
      }
      this.#releasable = [];
    }
    return taken;
  }

  close(): void {
    this.#finished = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#decoding?.close();
  }

  /** Bytes in identity coding may go with the lines that are made of them; coded ones are held apart (`#held`). */
  #offer(bytes: Buffer): void {
    if (this.#decoding !== null) return;
    this.#lines.arrived(bytes.length);
    this.#releasable.push(bytes);
  }

  #chunks(bytes: Buffer, messages: readonly Message[]): void {
    const calls = this.#exchange.takeMessages(messages, 'server');
    this.#lines.chunks(bytes, bytes.length, calls.length > 0 ? { calls } : NO_NOTES);
  }

  /** Records decoded bytes of a body that is no event stream. */
  #recordChunk(decoded: Buffer): void {
    let bytes = this.#cutCharacter.length === 0 ? decoded : Buffer.concat([this.#cutCharacter, decoded]);
    const cut = cutCharacterBytes(bytes, bytes.length);
    this.#cutCharacter = cut === 0 ? NO_BYTES : Buffer.from(bytes.subarray(bytes.length - cut));
    if (cut > 0) bytes = bytes.subarray(0, bytes.length - cut);
    if (bytes.length === 0) return;
    this.#offer(bytes);
    this.#chunks(bytes, this.#watch === null ? NO_MESSAGES : this.#watch.push(bytes));
  }

  #recordEvents(pieces: SsePiece[]): void {
    for (const piece of pieces) this.#recordEvent(piece);
  }

  #recordEvent(piece: SsePiece): void {
    this.#offer(piece.bytes);
    if (piece.dataTooLarge) this.#eventTooLarge = true;
    let { body } = piece;
    let masked: Masked[] | undefined;
    if (this.#endpointAwaited && piece.sse.partial) {
      // It may turn out to be the event that tells the session id.
      this.#withholdPiece(piece);
      return;
    }
    this.#endpointAwaited = false;
    if (piece.eventName === 'endpoint' && piece.data !== null) {
      const recorded = recordEndpoint(this.#exchange, piece.data);
      if (recorded !== piece.data) {
        if (!piece.utf8 || body !== piece.data) {
          this.#withholdPiece(piece);
          return;
        }
        body = recorded;
        masked = [{ rule: 'session-id', count: 1 }];
      }
    }
    const messages = piece.data === null ? NO_MESSAGES : readMessages(piece.data);
    if (messages === null) this.#eventTooLarge = true;
    const calls = this.#exchange.takeMessages(messages ?? NO_MESSAGES, 'server');
    const notes = calls.length > 0 ? { calls } : NO_NOTES;
    const { withholds, mayWithhold } = this.#exchange;
    // A rule may have come into force while the stream was open: what it withholds is said by the call that is answered here.
    if (withholds || (mayWithhold && (piece.sse.partial || messages === null)))
      this.#lines.withheldEvent(piece.sse, 'metadata_only', piece.bytes.length, notes);
    else if (!piece.utf8) this.#lines.chunks(piece.bytes, piece.bytes.length, notes);
    else
      this.#lines.event(piece.sse, body, piece.bytes.length, {
        ...notes,
        ...(masked === undefined ? {} : { masked }),
      });
  }

  #withholdPiece({ bytes }: SsePiece): void {
    this.#lines.withheldChunk('masking_bound', bytes.length, bytes.length);
  }

  #record(decoded: Buffer): void {
    if (decoded.length > 0) {
      if (this.#splitter === null) this.#recordChunk(decoded);
      else this.#recordEvents(this.#splitter.push(decoded));
    }
    if (this.#pending() === 0) this.#releaseHeld();
    else this.#timer ??= setTimeout(() => this.#flushPartial(), PARTIAL_MS);
  }

  #pending(): number {
    return this.#splitter === null ? this.#cutCharacter.length : this.#splitter.pending;
  }

  #releaseHeld(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    // Never as arguments: a server may send its bytes one by one.
    for (const bytes of this.#held) this.#releasable.push(bytes);
    if (this.#held.length > 0) this.#held = [];
  }

  #flushCutCharacter(): void {
    if (this.#cutCharacter.length === 0) return;
    const bytes = this.#cutCharacter;
    this.#cutCharacter = NO_BYTES;
    this.#offer(bytes);
    this.#chunks(bytes, this.#watch?.push(bytes) ?? NO_MESSAGES);
  }

  #flushPartial(): void {
    this.#timer = null;
    // The event that tells the session id is short and comes whole; until it has, nothing is shown in part.
    if (this.#endpointAwaited) return;
    if (this.#splitter === null) this.#flushCutCharacter();
    else this.#recordEvents(this.#splitter.flushPartial());
    if (this.#decoding !== null) {
      // A character or field name that is cut in the middle can't be shown to anybody: its bytes may go.
      this.#releaseHeld();
    }
    this.#onPiece();
  }

  #decoded(bytes: Buffer, decoded: Buffer, failure: DecodeFailure | null): void {
    if (failure === null) {
      this.#lines.arrived(bytes.length);
      this.#held.push(bytes);
      this.#record(decoded);
    } else {
      this.#record(decoded);
      this.#recordPending();
      this.#lines.arrived(bytes.length);
      // What can't be decoded passes all the same; the record says how many bytes it does not show.
      this.#lines.withheldChunk(failure, bytes.length, 0);
      this.#releaseHeld();
      this.#releasable.push(bytes);
    }
    this.#onPiece();
  }

  /** Records what is held back as unfinished: nothing more follows that could finish it. */
  #recordPending(): void {
    if (this.#splitter !== null) this.#recordEvents(this.#splitter.end());
    this.#flushCutCharacter();
  }

  #finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#recordPending();
    this.#releaseHeld();
    const calls = this.#exchange.takeMessages(this.#watch?.end() ?? NO_MESSAGES, 'server');
    if (this.#lines.uncounted > 0 || calls.length > 0) {
      this.#lines.chunk({ body: '', body_encoding: 'utf8', ...(calls.length > 0 ? { calls } : {}) }, 0);
    }
    this.#lines.results();
  }
}

const NO_MESSAGES: Message[] = [];
