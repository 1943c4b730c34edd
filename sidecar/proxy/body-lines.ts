/**
 * Owns the lines that the body of one response becomes.
 * Invariant: `wire_bytes` of all lines sum to the bytes that arrived, `body_offset` counts decoded bytes before masking, and no line passes
 * its bound.
 */
import { bodyOf, MAX_LINE_BYTES, splitBody } from '@mcp-recorder/recording/format/body';
import { encodeChunkTail, encodeEventTail } from '@mcp-recorder/recording/format/encode';
import type { Body, Hidden, Masked, Sse, Withheld } from '@mcp-recorder/recording/format/line';
import type { LineTail } from '../spool/spool.ts';
import type { Exchange } from './exchange.ts';

/** What a line says of its body beside the body itself. */
export type BodyNotes = Pick<Body, 'calls' | 'masked' | 'wire_masked' | 'hidden'>;

export const NO_NOTES: BodyNotes = {};
/** What is left of a line for its notes (bytes). */
const NOTES_BYTES = 256 * 1024;

/** Text of an event that fits into one line whatever has to be escaped (UTF-16 code units; each takes at most six bytes). */
const EVENT_CHARACTERS = 128 * 1024;

export class BodyLines {
  readonly #exchange: Exchange;
  #tails: LineTail[] = [];
  /** Wire bytes not yet counted on a line. */
  #uncounted = 0;
  #offset = 0;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  /** Content bytes came from the server: they are counted on the next line. */
  arrived(bytes: number): void {
    this.#uncounted += bytes;
  }

  get uncounted(): number {
    return this.#uncounted;
  }

  /** Moves the lines made so far. */
  take(tails: LineTail[]): void {
    if (this.#tails.length === 0) return;
    // Never as arguments: a decoded burst may be more lines than a call takes.
    for (const tail of this.#tails) tails.push(tail);
    this.#tails = [];
  }

  /** What came up with the messages of the last line: results, and calls without room on it. */
  results(): void {
    this.#exchange.takeResults(this.#tails);
  }

  /** A piece of a body that is no event stream. @param decodedBytes of the body that it stands for */
  chunk(body: Omit<Body, 'wire_bytes'>, decodedBytes: number): void {
    countMasked(this.#exchange, body);
    this.#tails.push(
      encodeChunkTail({
        exchange: this.#exchange.id,
        part: this.#exchange.nextPart(),
        ...this.#exchange.known(),
        sender: 'server',
        body_offset: this.#offset,
        ...body,
        wire_bytes: this.#counted(),
      }),
    );
    this.#offset += decodedBytes;
  }

  /**
   * A piece of a body of which nothing is shown.
   * @param bytes how many are not: encoded ones where they can't be decoded
   */
  withheldChunk(
    reason: Withheld['reason'],
    bytes: number,
    decodedBytes: number,
    notes: BodyNotes = NO_NOTES,
  ): void {
    this.chunk({ ...withheld(reason, bytes), ...notes }, decodedBytes);
    this.results();
  }

  /**
   * As many `chunk` lines as the bytes take; the notes stand on the last of them.
   * @param shown the bytes as they are recorded
   * @param decodedBytes how many they stand for: when they were masked, the first line stands for all of them
   */
  chunks(shown: Buffer, decodedBytes: number, notes: BodyNotes): void {
    const pieces = splitBody(shown, notes === NO_NOTES ? undefined : MAX_LINE_BYTES - NOTES_BYTES);
    const isMasked = notes.masked !== undefined;
    const { first, more } = withRoom(notes);
    for (const [i, piece] of pieces.entries()) {
      const columns = i === pieces.length - 1 ? { ...bodyOf(piece), ...first } : bodyOf(piece);
      if (isMasked) this.chunk(columns, i === 0 ? decodedBytes : 0);
      else this.chunk(columns, piece.length);
    }
    for (const hidden of more) this.chunk({ body: '', body_encoding: 'utf8', hidden }, 0);
    this.results();
  }

  /** An event, or a piece of one that is unfinished; more than one line when it is too long. */
  event(sse: Sse, body: string, decodedBytes: number, notes: BodyNotes): void {
    const { prefix, suffix } = sse;
    const { first, more } = withRoom(notes);
    if (prefix.length + body.length + suffix.length <= EVENT_CHARACTERS) {
      this.#eventLine(sse, { body, body_encoding: 'utf8', ...first }, decodedBytes);
    } else this.#longEvent(sse, body, decodedBytes, first);
    for (const hidden of more) this.chunk({ body: '', body_encoding: 'utf8', hidden }, 0);
    this.results();
  }

  /** An event, or a piece of one, of which nothing is shown: neither its data nor any other field. */
  withheldEvent(sse: Sse, reason: Withheld['reason'], bytes: number, notes: BodyNotes): void {
    const columns = { ...withheld(reason, bytes), ...notes };
    this.#eventLine({ ...sse, prefix: '', suffix: '', id: null }, columns, bytes);
    this.results();
  }

  #longEvent(sse: Sse, body: string, decodedBytes: number, notes: BodyNotes): void {
    const text = sse.prefix + body + sse.suffix;
    const bodyStart = sse.prefix.length;
    const suffixStart = bodyStart + body.length;
    for (let start = 0; start < text.length; ) {
      const end = pieceEnd(text, start);
      const isLast = end === text.length;
      const prefixEnd = Math.min(Math.max(start, bodyStart), end);
      // Only the last piece has a suffix: what there is of it before is body.
      const bodyEnd = isLast ? Math.max(prefixEnd, suffixStart) : end;
      const piece: Sse = {
        prefix: text.slice(start, prefixEnd),
        suffix: text.slice(bodyEnd, end),
        id: isLast ? sse.id : null,
        data_lines: sse.data_lines,
        partial: sse.partial || !isLast,
      };
      const columns: Omit<Body, 'wire_bytes'> = {
        body: text.slice(prefixEnd, bodyEnd),
        body_encoding: 'utf8',
        ...(isLast ? notes : {}),
      };
      this.#eventLine(piece, columns, start === 0 ? decodedBytes : 0);
      start = end;
    }
  }

  #eventLine(sse: Sse, body: Omit<Body, 'wire_bytes'>, decodedBytes: number): void {
    countMasked(this.#exchange, body);
    this.#tails.push(
      encodeEventTail({
        exchange: this.#exchange.id,
        part: this.#exchange.nextPart(),
        ...this.#exchange.known(),
        sse,
        ...body,
        wire_bytes: this.#counted(),
      }),
    );
    this.#offset += decodedBytes;
  }

  /** The wire bytes that the next line stands for. */
  #counted(): number {
    const bytes = this.#uncounted;
    this.#uncounted = 0;
    this.#exchange.bytesOut += bytes;
    return bytes;
  }
}

/** Where a piece of the text ends: never within a surrogate pair. */
function pieceEnd(text: string, start: number): number {
  const end = start + EVENT_CHARACTERS;
  if (end >= text.length) return text.length;
  const code = text.charCodeAt(end - 1);
  return code >= 0xd800 && code <= 0xdbff ? end - 1 : end;
}

/** JSON text of names of hidden tools on one line (bytes). */
const HIDDEN_BYTES = 64 * 1024;

/** The notes that have room beside a body, and the names of hidden tools that go on lines of their own. */
function withRoom(notes: BodyNotes): { first: BodyNotes; more: Hidden[][] } {
  if (notes.hidden === undefined) return { first: notes, more: NOTHING_MORE };
  const groups: Hidden[][] = [[]];
  let bytes = 0;
  for (const { rule, names } of notes.hidden) {
    for (const name of names) {
      const nameBytes = 6 * name.length + 8;
      if (bytes + nameBytes > HIDDEN_BYTES) {
        groups.push([]);
        bytes = 0;
      }
      bytes += nameBytes;
      const group = groups.at(-1) as Hidden[];
      const last = group.at(-1);
      if (last?.rule === rule) last.names.push(name);
      else group.push({ rule, names: [name] });
    }
  }
  const [hidden = [], ...more] = groups;
  return { first: { ...notes, hidden }, more };
}

const NOTHING_MORE: Hidden[][] = [];

/** Counts what a line says that was masked. */
export function countMasked(
  { context }: Exchange,
  { masked, wire_masked }: Pick<Body, 'masked' | 'wire_masked'>,
): void {
  for (const { rule, count } of masked ?? NOTHING_MASKED) context.metrics.masked(rule, count);
  for (const { rule, count } of wire_masked ?? NOTHING_MASKED) context.metrics.masked(rule, count);
}

const NOTHING_MASKED: readonly Masked[] = [];

/** The columns of a body that is not shown. */
export function withheld(reason: Withheld['reason'], bytes: number): Omit<Body, 'wire_bytes'> {
  return { body: null, body_encoding: null, withheld: { reason, bytes } };
}
