/**
 * Owns the way from lines of a store to whole bodies: requests, answers and events, each put together from its pieces.
 * Invariant: each body comes once, when its last piece was read or nothing more of it can come; what is held grows with the exchanges that
 * run, and of each body is bounded.
 */
import { Buffer } from 'node:buffer';
import type { Body, EventLine, RequestLine, ResponseLine } from '@mcp-recorder/recording/format/line';
import type { ExchangeLine } from '@mcp-recorder/recording/read/exchange-reader';
import { type ReadOptions, readSegments } from '@mcp-recorder/recording/read/store-reader';
import { isWithin, secondsOf, type TimeRange } from '@mcp-recorder/recording/read/time-range';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';

export type Missing = 'withheld' | 'cut_off' | 'too_long';

export interface RecordedBody {
  /** Decoded, as far as it is in the recording; null when there was none, or nothing of it is. */
  bytes: Buffer | null;
  /** Why it is not, or not all of it; null when it is. */
  missing: Missing | null;
}

export type RecordedPart =
  /** `line`: with the columns that stand on the last line of its body. */
  | { kind: 'request'; line: RequestLine; body: RecordedBody }
  | { kind: 'response'; line: ResponseLine; body: RecordedBody }
  /** `line`: that of its first piece. */
  | { kind: 'event'; line: EventLine; body: RecordedBody }
  /** Nothing more of the exchange follows. */
  | { kind: 'end' };

/** Where a server was recorded. */
export interface RecordedPlace {
  cluster: string;
  namespace: string;
  server: string;
}

export interface RecordedPartOf {
  place: RecordedPlace;
  /** Tells exchanges of all streams apart. */
  id: string;
  part: RecordedPart;
}

export interface ReadBodiesOptions extends Pick<ReadOptions, 'onUnreadable'> {
  /** Only exchanges that began in this time. */
  between: TimeRange;
}

/** A longer body is not put together (bytes, encoded): no rule reads so much, and no masking holds it. */
const MOST_BYTES = 16 * 1024 * 1024;

/** A body on its way: the line that it began on, and its pieces. */
class Pieces<L> {
  readonly line: L;
  readonly #bodies: Buffer[] = [];
  #bytes = 0;
  missing: Missing | null = null;
  /** The piece that came last. */
  last: Body | null = null;

  constructor(line: L) {
    this.line = line;
  }

  add(piece: Body): this {
    this.last = piece;
    const { body, body_encoding, withheld } = piece;
    if (withheld !== undefined) this.missing ??= 'withheld';
    if (body === null) return this;
    this.#bytes += body.length;
    if (this.#bytes > MOST_BYTES) {
      this.missing = 'too_long';
      this.#bodies.length = 0;
    } else {
      this.#bodies.push(Buffer.from(body, body_encoding === 'base64' ? 'base64' : 'utf8'));
    }
    return this;
  }

  /** @param whole false: what should follow did not come */
  body(whole: boolean): RecordedBody {
    if (this.missing !== null) return { bytes: null, missing: this.missing };
    if (this.#bodies.length === 0) return { bytes: null, missing: null };
    return { bytes: Buffer.concat(this.#bodies), missing: whole ? null : 'cut_off' };
  }
}

interface Running {
  place: RecordedPlace;
  request: Pieces<RequestLine> | null;
  response: Pieces<ResponseLine> | null;
  event: Pieces<EventLine> | null;
}

/**
 * The bodies of a store in the order in which they became whole; those of one exchange in the order request, events, response, end.
 * @throws StoreError when the store itself can't be read
 */
export async function* readBodies(
  store: ObjectStore,
  { between, onUnreadable }: ReadBodiesOptions,
): AsyncIterable<RecordedPartOf> {
  const running = new Map<string, Running>();
  for await (const { segment, lines } of readSegments(store, { onUnreadable, ...secondsOf(between) })) {
    const { cluster, namespace, server } = segment.place;
    for (const { line } of lines()) {
      if (!('exchange' in line) || line.exchange === null) continue;
      const id = `${line.stream}/${line.exchange}`;
      let of = running.get(id);
      if (of === undefined) {
        // Of an exchange that began before the time that is asked for, nothing is.
        if (line.type !== 'request' || !isWithin(line.time, between)) continue;
        of = { place: { cluster, namespace, server }, request: null, response: null, event: null };
        running.set(id, of);
      }
      for (const part of take(of, line)) yield { place: of.place, id, part };
      if (line.type === 'end') running.delete(id);
    }
  }
  // They are running still, or their recorder died.
  for (const [id, of] of running) {
    for (const part of finish(of, false)) yield { place: of.place, id, part };
  }
}

function* take(of: Running, line: ExchangeLine): Iterable<RecordedPart> {
  if (line.type === 'request') {
    of.request = new Pieces(line).add(line);
    return;
  }
  if (line.type === 'chunk') {
    (line.sender === 'client' ? of.request : of.response)?.add(line);
    return;
  }
  // All lines of a request are written before any of its answer.
  yield* finishRequest(of);
  if (line.type === 'response') of.response = new Pieces(line).add(line);
  else if (line.type === 'event') {
    of.event = (of.event ?? new Pieces(line)).add(line);
    if (!line.sse.partial) yield* finishEvent(of, true);
  } else if (line.type === 'end')
    yield* finish(of, line.ended.how === 'complete' || line.ended.how === 'denied');
}

function* finish(of: Running, whole: boolean): Iterable<RecordedPart> {
  yield* finishRequest(of);
  yield* finishEvent(of, false);
  if (of.response !== null) {
    yield { kind: 'response', line: of.response.line, body: of.response.body(whole) };
  }
  yield { kind: 'end' };
}

function* finishRequest(of: Running): Iterable<RecordedPart> {
  if (of.request === null) return;
  const { line, last } = of.request;
  const { calls, ambiguous } = last ?? line;
  const found = {
    ...(calls === undefined ? {} : { calls }),
    ...(ambiguous === undefined ? {} : { ambiguous }),
  };
  yield { kind: 'request', line: { ...line, ...found }, body: of.request.body(true) };
  of.request = null;
}

function* finishEvent(of: Running, whole: boolean): Iterable<RecordedPart> {
  if (of.event === null) return;
  yield { kind: 'event', line: of.event.line, body: of.event.body(whole) };
  of.event = null;
}
