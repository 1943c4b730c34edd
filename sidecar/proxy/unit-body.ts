/**
 * Owns how the body of a response becomes lines, and bytes for the client, where whole units of it must be known before: for masking, for rules
 * that hide tools, for calls of which only metadata is recorded.
 * Invariant: a unit is held until it is complete, within bounds; past them its record is withheld and its bytes pass as they came, or, where they
 * would have to be altered, nothing passes any more.
 */
import type { Sse } from '@mcp-recorder/recording/format/line';
import { type BodyPiece, type BodyUnits, createBodyUnits } from '../exchange/body-units.ts';
import { maskedName } from '../exchange/masking/names.ts';
import { Tally } from '../exchange/masking/tally.ts';
import { createSseSplitter, type SsePiece, type SseSplitter } from '../exchange/sse.ts';
import { withData, withOther } from '../exchange/sse-data.ts';
import { createTextUnits, isPlainText } from '../exchange/text-units.ts';
import type { LineTail } from '../spool/spool.ts';
import { BodyLines, type BodyNotes, NO_NOTES } from './body-lines.ts';
import { type DecodeFailure, readCoding } from './content-coding.ts';
import { DecodeQueue } from './decode-queue.ts';
import { recordEndpoint } from './endpoint-event.ts';
import type { Exchange } from './exchange.ts';
import { headerOf } from './headers.ts';
import { Hold } from './hold.ts';
import { readMessages } from './message-watch.ts';
import { isEventStream, mayBeMessages, type ResponseBody } from './response-body.ts';
import { notesOf, readText, treatBody } from './treated-body.ts';
import { type TreatedUnit, type Treatment, treatUnit, type Unit } from './treatment.ts';

/** Of a response that is withheld whole, what is unfinished needs no longer wait than without (bytes, ms). */
const WITHHELD_BOUNDS = { maxBytes: 64 * 1024, maxMs: 20 };

/** Coded bytes that wait until what they decode to was given out. */
interface Coded {
  bytes: Buffer;
  /** Decoded bytes up to their end. */
  end: number;
}

export class UnitBody implements ResponseBody {
  readonly isEventStream: boolean;
  readonly #exchange: Exchange;
  readonly #treatment: Treatment;
  readonly #onPiece: () => void;
  readonly #splitter: SseSplitter | null;
  readonly #units: BodyUnits | null;
  readonly #readsMessages: boolean;
  readonly #decoding: DecodeQueue | null;
  readonly #lines: BodyLines;
  readonly #hold: Hold;
  #releasable: Buffer[] = [];
  /** Pushed bytes that are done with since they were last taken. */
  #doneBytes = 0;
  #coded: Coded[] = [];
  #codedBytes = 0;
  #decodedBytes = 0;
  #givenBytes = 0;
  /** A piece of the unit was given out that is not its last. */
  #begun = false;
  /** Pieces of the unit of the piece that is recorded now were recorded before. */
  #goesOn = false;
  /** The bound of the unit is passed: it flows. */
  #passed = false;
  /** Nothing that comes is a whole unit: the body broke off, or is only a part of one. */
  #cutOff: boolean;
  /** The server is gone: what is left can't be altered, and the client's connection is cut anyway. */
  #drops = false;
  /** A line began as JSON and was none: those that follow may be pieces of it. */
  #mayBeFragment = false;
  #endpointAwaited: boolean;
  #tooLarge = false;
  #broken = false;
  #endReached = false;
  #finished = false;

  /**
   * @param head of the response
   * @param onPiece called when lines or bytes became ready later than the push that brought them
   */
  constructor(
    exchange: Exchange,
    treatment: Treatment,
    head: { status: number; headers: readonly string[] },
    onPiece: () => void,
  ) {
    const contentType = headerOf(head.headers, 'content-type');
    const coding = readCoding(headerOf(head.headers, 'content-encoding'));
    const { maxBytes, maxMs } =
      exchange.metadataOnly && !treatment.altersWire ? WITHHELD_BOUNDS : exchange.context.hold;
    this.isEventStream = isEventStream(contentType);
    this.#exchange = exchange;
    this.#treatment = treatment;
    this.#onPiece = onPiece;
    this.#lines = new BodyLines(exchange);
    this.#hold = new Hold(exchange.context.budget, maxMs, () => {
      this.#pass();
      onPiece();
    });
    this.#splitter = this.isEventStream ? createSseSplitter({ maxPendingBytes: maxBytes }) : null;
    this.#units = this.isEventStream ? null : unitsOf(treatment, contentType, maxBytes);
    this.#readsMessages = mayBeMessages(contentType);
    this.#endpointAwaited = this.isEventStream && exchange.mayOpenSession;
    // A part of a content (RFC 9110 15.3.7) may end in the middle of what a rule would find.
    this.#cutOff = head.status === 206;
    this.#decoding =
      coding === null
        ? null
        : new DecodeQueue(coding, {
            decoded: (bytes, decoded, failure) => this.#decoded(bytes, decoded, failure),
            ended: (whole) => {
              if (!whole) this.#cutOff = true;
              this.#finish();
              onPiece();
            },
          });
  }

  get done(): boolean {
    return this.#finished;
  }

  get tooLarge(): boolean {
    return this.#tooLarge;
  }

  get broken(): boolean {
    return this.#broken;
  }

  get waiting(): number {
    return this.#decoding === null ? this.#pending : this.#codedBytes;
  }

  push(bytes: Buffer): void {
    if (this.#decoding !== null) {
      this.#decoding.push(bytes);
      return;
    }
    this.#lines.arrived(bytes.length);
    this.#take(bytes);
  }

  end(whole: boolean): void {
    if (this.#endReached) return;
    this.#endReached = true;
    if (!whole) {
      this.#cutOff = true;
      this.#drops = this.#treatment.altersWire;
    }
    if (this.#decoding === null) this.#finish();
    else this.#decoding.end();
  }

  take(tails: LineTail[], bytes: Buffer[]): number {
    this.#lines.take(tails);
    // Never as arguments: a server may send its bytes one by one.
    for (const piece of this.#releasable) bytes.push(piece);
    if (this.#releasable.length > 0) this.#releasable = [];
    const done = this.#doneBytes;
    this.#doneBytes = 0;
    return done;
  }

  close(): void {
    this.#finished = true;
    this.#hold.close();
    this.#decoding?.close();
    this.#coded = [];
  }

  get #pending(): number {
    return (this.#splitter ?? (this.#units as BodyUnits)).pending;
  }

  #decoded(bytes: Buffer, decoded: Buffer, failure: DecodeFailure | null): void {
    if (failure === null) {
      this.#lines.arrived(bytes.length);
      this.#decodedBytes += decoded.length;
      this.#coded.push({ bytes, end: this.#decodedBytes });
      this.#codedBytes += bytes.length;
      this.#take(decoded);
    } else {
      this.#decodedBytes += decoded.length;
      this.#take(decoded);
      this.#cutOff = true;
      this.#giveOutRest();
      this.#lines.arrived(bytes.length);
      // What can't be decoded passes all the same, unless it would have to be altered.
      this.#lines.withheldChunk(failure, bytes.length, 0);
      if (this.#treatment.altersWire) this.#broken ||= !this.#drops;
      this.#releaseCoded(true);
      this.#doneBytes += bytes.length;
      if (!this.#treatment.altersWire) this.#releasable.push(bytes);
    }
    this.#onPiece();
  }

  /** Takes decoded bytes. */
  #take(decoded: Buffer): void {
    let unitsEnded = false;
    if (decoded.length > 0) {
      if (this.#splitter !== null) {
        for (const piece of this.#splitter.push(decoded)) {
          this.#event(piece);
          unitsEnded ||= !piece.sse.partial;
        }
      } else {
        for (const piece of (this.#units as BodyUnits).push(decoded)) {
          this.#piece(piece);
          unitsEnded ||= piece.last;
        }
      }
    }
    if (this.#passed) this.#pass();
    else if (!this.#hold.set(this.#pending + this.#codedBytes, unitsEnded)) this.#pass();
    this.#releaseCoded(this.#passed);
  }

  /** The unit is held no longer: the bound is passed. */
  #pass(): void {
    this.#passed = true;
    if (this.#splitter !== null) for (const piece of this.#splitter.flushPartial()) this.#event(piece);
    else for (const piece of (this.#units as BodyUnits).flushPartial()) this.#piece(piece);
    this.#releaseCoded(true);
    this.#hold.set(0, true);
  }

  /** @param all also those of which something is not given out: a cut character or field name of a unit that flows */
  #releaseCoded(all: boolean): void {
    let released = 0;
    for (const { bytes, end } of this.#coded) {
      if (!all && end > this.#givenBytes) break;
      released += 1;
      this.#codedBytes -= bytes.length;
      this.#doneBytes += bytes.length;
      if (!this.#treatment.altersWire) this.#releasable.push(bytes);
    }
    if (released > 0) this.#coded.splice(0, released);
  }

  /** A piece passes as it came, or in another form. */
  #let(bytes: Buffer, altered: Buffer | null): void {
    this.#givenBytes += bytes.length;
    if (this.#decoding === null) this.#doneBytes += bytes.length;
    if (this.#broken || this.#drops) return;
    if (altered !== null) this.#releasable.push(altered);
    else if (this.#decoding === null || this.#treatment.altersWire) this.#releasable.push(bytes);
  }

  /** Whether the piece is a whole unit; follows the units. */
  #isWhole(last: boolean): boolean {
    const whole = last && !this.#begun && !this.#cutOff;
    this.#goesOn = this.#begun;
    this.#begun = !last;
    if (last) this.#passed = false;
    return whole;
  }

  #piece({ bytes, last, unit }: BodyPiece): void {
    if (!this.#isWhole(last)) {
      const isReadable = this.#readsMessages && !this.#cutOff;
      if (last && unit === null) this.#tooLarge ||= isReadable;
      const notes = this.#messagesOf(unit === null || !isReadable ? null : readText(unit).text);
      const reason = this.#reasonOfPiece();
      if (!this.#passesInPieces()) this.#broken ||= !this.#drops;
      if (reason === null) this.#lines.chunks(bytes, bytes.length, notes);
      else if (bytes.length > 0 || notes.calls !== undefined)
        this.#lines.withheldChunk(reason, bytes.length, bytes.length, notes);
      this.#let(bytes, null);
      return;
    }
    const treated = treatBody(
      this.#exchange,
      this.#treatment,
      bytes,
      this.#readsMessages,
      this.#mayBeFragment,
    );
    this.#mayBeFragment ||= treated.malformed;
    this.#noteTreated(treated);
    const { recorded, reason, notes } = treated;
    if (recorded !== null) this.#lines.chunks(recorded, bytes.length, notes);
    else if (reason !== null) this.#lines.withheldChunk(reason, bytes.length, bytes.length, notes);
    this.#let(bytes, treated.passes);
  }

  #event(piece: SsePiece): void {
    const { bytes, sse, data } = piece;
    if (piece.dataTooLarge) this.#tooLarge = true;
    // Whole lines before any data, such as a comment that keeps the connection alive: the event is still to come.
    const isBefore = sse.partial && sse.data_lines === 0 && !this.#begun && endsLine(bytes);
    if (isBefore && !this.#cutOff) {
      this.#wholeEvent(piece, false);
      return;
    }
    if (this.#isWhole(!sse.partial)) {
      const awaited = this.#endpointAwaited;
      this.#endpointAwaited = false;
      this.#wholeEvent(piece, awaited);
      return;
    }
    const notes = this.#messagesOf(sse.partial ? null : data);
    const reason = this.#reasonOfPiece();
    // Nothing of a field other than data is altered on the wire.
    if (!this.#passesInPieces() && sse.data_lines > 0) this.#broken ||= !this.#drops;
    if (reason !== null) this.#lines.withheldEvent(sse, reason, bytes.length, notes);
    else if (piece.utf8) this.#lines.event(sse, piece.body, bytes.length, notes);
    else this.#lines.chunks(bytes, bytes.length, notes);
    this.#endpointAwaited &&= sse.partial;
    this.#let(bytes, null);
  }

  /** @param mayOpen it may be the event that opens a session */
  #wholeEvent(piece: SsePiece, mayOpen: boolean): void {
    const { bytes, sse, data, utf8 } = piece;
    const text = utf8 ? (data ?? '') : null;
    const isEndpoint = data !== null && piece.eventName === 'endpoint';
    const unit: Unit = { bytes, text, readAs: data };
    if (isEndpoint) unit.forRecord = recordEndpoint(this.#exchange, data);
    const treated = treatUnit(this.#exchange, this.#treatment, unit);
    this.#noteTreated(treated);
    const { shown, altered } = treated;
    if (shown !== 'as it came' && 'reason' in shown) {
      this.#lines.withheldEvent(sse, shown.reason, bytes.length, notesOf(treated));
    } else if (!utf8) {
      this.#lines.chunks(shown === 'as it came' ? bytes : shown.bytes, bytes.length, notesOf(treated));
    } else {
      const tally = new Tally();
      if (unit.forRecord !== undefined && unit.forRecord !== data) tally.add(SESSION_ID);
      tally.add(treated.masked);
      const { record } = this.#treatment;
      const mask = (value: string): string => maskedName(record, value, tally);
      let { body } = piece;
      if (shown !== 'as it came') body = withData(body, shown.text ?? '', mask);
      else if (record !== null && body !== data && data !== null) body = withOther(body, mask);
      // It stands in one of the others, and is counted there.
      const id = sse.id === null ? null : maskedName(record, sse.id, null);
      const recorded: Sse = { ...sse, prefix: mask(sse.prefix), suffix: mask(sse.suffix), id };
      this.#lines.event(recorded, body, bytes.length, notesOf(treated, tally.counts));
    }
    // The client goes where the first event tells it to.
    if (altered === null || (isEndpoint && mayOpen)) this.#let(bytes, null);
    else if ('bytes' in altered) this.#let(bytes, altered.bytes);
    else {
      const rewritten = withData(piece.body, altered.text, (line) => line);
      this.#let(bytes, Buffer.from(sse.prefix + rewritten + sse.suffix));
    }
  }

  #noteTreated({ broken, tooLarge }: Pick<TreatedUnit, 'broken' | 'tooLarge'>): void {
    if (broken) this.#broken = true;
    if (tooLarge) this.#tooLarge = true;
  }

  /** Operations end also with a unit of which nothing is shown. */
  #messagesOf(text: string | null): BodyNotes {
    const messages = text === null ? [] : readMessages(text);
    if (messages === null) this.#tooLarge = true;
    const calls = this.#exchange.takeMessages(messages ?? [], 'server');
    return calls.length > 0 ? { calls } : NO_NOTES;
  }

  /** Why nothing is shown of a unit in pieces; null when it is. */
  #reasonOfPiece(): 'metadata_only' | 'masking_bound' | null {
    const { metadataOnly, mayWithhold, withholds, context } = this.#exchange;
    let reason: 'metadata_only' | 'masking_bound' | null = null;
    if (metadataOnly) reason = 'metadata_only';
    else if (this.#treatment.record !== null || this.#endpointAwaited) reason = 'masking_bound';
    else if (mayWithhold || withholds) reason = 'metadata_only';
    if (reason !== null && !this.#goesOn) context.metrics.withheld(reason);
    return reason;
  }

  #passesInPieces(): boolean {
    const { wire, hides } = this.#treatment;
    return wire === null && (hides === null || !this.#exchange.mayTellTools);
  }

  /** Nothing more follows that could complete a unit. */
  #giveOutRest(): void {
    if (this.#splitter !== null) for (const piece of this.#splitter.end()) this.#event(piece);
    else for (const piece of (this.#units as BodyUnits).end()) this.#piece(piece);
  }

  #finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#giveOutRest();
    this.#releaseCoded(true);
    this.#hold.close();
    if (this.#lines.uncounted > 0) this.#lines.chunk({ body: '', body_encoding: 'utf8' }, 0);
    this.#lines.results();
  }
}

const SESSION_ID = [{ rule: 'session-id', count: 1 }];

function endsLine(bytes: Buffer): boolean {
  const last = bytes.at(-1);
  return last === 10 || last === 13;
}

function unitsOf(
  { record, wire }: Treatment,
  contentType: string | null,
  maxPendingBytes: number,
): BodyUnits {
  if (!isPlainText(contentType)) return createBodyUnits({ maxPendingBytes });
  const maskers = [record, wire].filter((masker) => masker !== null);
  return createTextUnits({ streams: maskers.map((masker) => masker.stream()), maxPendingBytes });
}
