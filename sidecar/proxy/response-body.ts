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
import { createSseSplitter, type SsePiece, type SseSplitter } from '../exchange/sse.ts';
import { maskEndpoint } from '../exchange/sse-endpoint.ts';
import { sessionIdOf } from '../exchange/target.ts';
import type { LineTail } from '../spool/spool.ts';
import { createStreamDecoder, type DecodeFailure, readCoding, type StreamDecoder } from './content-coding.ts';
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

/** True for the media type of event streams, parameters ignored. */
function isEventStream(contentType: string | null): boolean {
  return contentType !== null && /^\s*text\/event-stream\s*(;|$)/i.test(contentType);
}

/** True when a body of this type may be JSON-RPC messages. */
function mayBeMessages(contentType: string | null): boolean {
  return contentType === null || isJsonContentType(contentType);
}

/** True when a whole body with these headers may go on the `response` line: neither coded nor an event stream. */
export function isInlineable(headers: readonly string[]): boolean {
  return (
    readCoding(headerOf(headers, 'content-encoding')) === null &&
    !isEventStream(headerOf(headers, 'content-type'))
  );
}

/** The columns of a whole body in identity coding, counted. */
export function countedBody(exchange: Exchange, bytes: Buffer): Body {
  exchange.bytesOut += bytes.length;
  return { ...bodyOf(bytes), wire_bytes: bytes.length };
}

/** Makes `chunk` lines of a body in identity coding that does not fit on one line. */
export function takeChunks(exchange: Exchange, bytes: Buffer, tails: LineTail[]): void {
  let offset = 0;
  for (const piece of splitBody(bytes)) {
    const line = {
      exchange: exchange.id,
      part: exchange.nextPart(),
      sender: 'server',
      body_offset: offset,
    } as const;
    tails.push(encodeChunkTail({ ...line, ...countedBody(exchange, piece) }));
    offset += piece.length;
  }
}

/** The columns of a whole body that goes on the `response` line; notes the messages in it. */
export function inlineBody(exchange: Exchange, headers: readonly string[], bytes: Buffer): Body {
  if (bytes.length === 0) return { body: null, body_encoding: null, wire_bytes: 0 };
  const inline = countedBody(exchange, bytes);
  const { body, body_encoding } = inline;
  if (body !== null && body_encoding === 'utf8' && mayBeMessages(headerOf(headers, 'content-type'))) {
    const calls = exchange.takeMessages(readMessages(body) ?? NO_MESSAGES, 'server');
    if (calls.length > 0) inline.calls = calls;
  }
  return inline;
}

/** The lines of a body that streams. */
export class BodyRecorder {
  readonly isEventStream: boolean;
  readonly #exchange: Exchange;
  readonly #onPiece: () => void;
  readonly #splitter: SseSplitter | null;
  readonly #watch: MessageWatch | null;
  readonly #decoder: StreamDecoder | null;
  readonly #coded: boolean;
  #failure: DecodeFailure | null;
  #tails: LineTail[] = [];
  #releasable: Buffer[] = [];
  /** Encoded bytes that wait until all that they decode to is on a line. */
  #held: Buffer[] = [];
  /** Wire bytes not yet counted on a line. */
  #uncounted = 0;
  #offset = 0;
  #cutCharacter = NO_BYTES;
  /** The first event may tell the client its session id, and is not whole yet. */
  #endpointAwaited: boolean;
  #eventTooLarge = false;
  #timer: NodeJS.Timeout | null = null;
  #undecoded: Buffer[] = [];
  #decoding = false;
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
    this.#splitter = this.isEventStream ? createSseSplitter({ maxPendingBytes: PENDING_BYTES }) : null;
    this.#watch = !this.isEventStream && mayBeMessages(contentType) ? createMessageWatch(READ_BYTES) : null;
    this.#endpointAwaited = this.isEventStream && exchange.mayOpenSession;
    this.#coded = coding !== null;
    this.#decoder = coding === null || coding === 'unknown' ? null : createStreamDecoder(coding);
    this.#failure = coding === 'unknown' ? 'not_decodable' : null;
  }

  /** True when the end was reached and all lines are made. */
  get done(): boolean {
    return this.#finished;
  }

  /** Messages may be missing from the record's `calls` and results: the body was too long to be read. */
  get tooLarge(): boolean {
    return this.#eventTooLarge || (this.#watch?.tooLarge ?? false);
  }

  push(bytes: Buffer): void {
    if (!this.#coded) {
      this.#record(bytes);
      return;
    }
    this.#undecoded.push(bytes);
    this.#decodeNext();
  }

  /** Nothing more comes from the server. */
  end(): void {
    if (this.#endReached) return;
    this.#endReached = true;
    if (this.#coded) this.#decodeNext();
    else this.#finish();
  }

  /** Moves the lines made so far, and the bytes that may be released once these are durable. */
  take(tails: LineTail[], bytes: Buffer[]): void {
    if (this.#tails.length > 0) {
      // Never as arguments: a decoded burst may be more lines than a call takes.
      for (const tail of this.#tails) tails.push(tail);
      this.#tails = [];
    }
    if (this.#releasable.length > 0) {
      for (const piece of this.#releasable) bytes.push(piece);
      this.#releasable = [];
    }
  }

  close(): void {
    this.#finished = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#decoder?.close();
  }

  #counted(): number {
    const bytes = this.#uncounted;
    this.#uncounted = 0;
    this.#exchange.bytesOut += bytes;
    return bytes;
  }

  /** Bytes in identity coding may go with the lines that are made of them; coded ones are held apart (`#held`). */
  #offer(bytes: Buffer): void {
    if (this.#decoder !== null) return;
    this.#uncounted += bytes.length;
    this.#releasable.push(bytes);
  }

  #chunkLine(body: Body): void {
    this.#tails.push(
      encodeChunkTail({
        exchange: this.#exchange.id,
        part: this.#exchange.nextPart(),
        ...this.#exchange.known(),
        sender: 'server',
        body_offset: this.#offset,
        ...body,
      }),
    );
  }

  #chunkLines(bytes: Buffer, calls: Call[]): void {
    const pieces = splitBody(bytes);
    for (const [i, piece] of pieces.entries()) {
      const last = i === pieces.length - 1;
      this.#chunkLine({
        ...bodyOf(piece),
        wire_bytes: this.#counted(),
        ...(last && calls.length > 0 ? { calls } : {}),
      });
      this.#offset += piece.length;
    }
    this.#exchange.takeResults(this.#tails);
  }

  /** Records decoded bytes of a body that is no event stream. */
  #recordChunk(decoded: Buffer): void {
    let bytes = this.#cutCharacter.length === 0 ? decoded : Buffer.concat([this.#cutCharacter, decoded]);
    const cut = cutBytes(bytes);
    this.#cutCharacter = cut === 0 ? NO_BYTES : Buffer.from(bytes.subarray(bytes.length - cut));
    if (cut > 0) bytes = bytes.subarray(0, bytes.length - cut);
    if (bytes.length === 0) return;
    const messages = this.#watch === null ? [] : this.#watch.push(bytes);
    this.#offer(bytes);
    this.#chunkLines(bytes, this.#exchange.takeMessages(messages, 'server'));
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
      const recorded = this.#recordEndpoint(piece.data);
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
    if (piece.utf8) {
      this.#tails.push(
        encodeEventTail({
          exchange: this.#exchange.id,
          part: this.#exchange.nextPart(),
          ...this.#exchange.known(),
          sse: piece.sse,
          body,
          body_encoding: 'utf8',
          wire_bytes: this.#counted(),
          ...(masked === undefined ? {} : { masked }),
          ...(calls.length > 0 ? { calls } : {}),
        }),
      );
      this.#offset += piece.bytes.length;
      this.#exchange.takeResults(this.#tails);
    } else {
      this.#chunkLines(piece.bytes, calls);
    }
  }

  #withholdPiece(piece: SsePiece): void {
    this.#chunkLine({
      body: null,
      body_encoding: null,
      wire_bytes: this.#counted(),
      withheld: { reason: 'masking_bound', bytes: piece.bytes.length },
    });
    this.#offset += piece.bytes.length;
  }

  /** The session of an HTTP+SSE stream is named by its first event (MCP 2024-11-05). */
  #recordEndpoint(data: string): string {
    const { sessions, metrics, warn } = this.#exchange.context;
    const endpoint = maskEndpoint(data, sessions.hash);
    const sessionId = sessionIdOf(data);
    if (sessionId !== null) this.#exchange.nameSession({ sseSessionId: sessionId });
    if (endpoint.absoluteOrigin !== null) {
      metrics.endpointAlarm();
      warn('the server sends its clients to another origin, around the recorder', {
        origin: endpoint.absoluteOrigin,
        exchange: this.#exchange.id,
        hint: 'make the server name a path, not a URL, in its endpoint event',
      });
    }
    return endpoint.data;
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
    this.#chunkLines(bytes, this.#exchange.takeMessages(this.#watch?.push(bytes) ?? NO_MESSAGES, 'server'));
  }

  #flushPartial(): void {
    this.#timer = null;
    // The event that tells the session id is short and comes whole; until it has, nothing is shown in part.
    if (this.#endpointAwaited) return;
    if (this.#splitter === null) this.#flushCutCharacter();
    else this.#recordEvents(this.#splitter.flushPartial());
    if (this.#decoder !== null) {
      // A character or field name that is cut in the middle can't be shown to anybody: its bytes may go.
      this.#releaseHeld();
    }
    this.#onPiece();
  }

  /** What can't be decoded passes all the same; the record says how many bytes it does not show. */
  #withhold(bytes: Buffer, reason: Withheld['reason']): void {
    this.#uncounted += bytes.length;
    this.#chunkLine({
      body: null,
      body_encoding: null,
      wire_bytes: this.#counted(),
      withheld: { reason, bytes: bytes.length },
    });
    this.#releaseHeld();
    this.#releasable.push(bytes);
  }

  #decodeNext(): void {
    while (!this.#decoding && !this.#finished) {
      const bytes = this.#undecoded.shift();
      if (bytes === undefined) {
        if (this.#endReached) this.#finish();
        return;
      }
      if (this.#failure === null) this.#decode(bytes);
      else this.#withhold(bytes, this.#failure);
    }
  }

  #decode(bytes: Buffer): void {
    this.#decoding = true;
    this.#decoder?.push(bytes, (decoded, problem) => {
      this.#decoding = false;
      if (problem === null) {
        this.#uncounted += bytes.length;
        this.#held.push(bytes);
      }
      this.#record(decoded);
      if (problem !== null) {
        this.#failure = problem;
        this.#recordPending();
        this.#withhold(bytes, problem);
      }
      this.#decodeNext();
      this.#onPiece();
    });
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
    if (this.#uncounted > 0 || calls.length > 0) {
      this.#chunkLine({
        body: '',
        body_encoding: 'utf8',
        wire_bytes: this.#counted(),
        ...(calls.length > 0 ? { calls } : {}),
      });
    }
    this.#exchange.takeResults(this.#tails);
  }
}

const NO_MESSAGES: Message[] = [];

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
