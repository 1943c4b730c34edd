/**
 * Owns finding one exchange in a store: all its lines, over as many segments as it takes, and the results of its operations.
 * Invariant: lines are those whose columns say that they belong to it; a body that merely contains its id is not one.
 */
import type { Line, ResultLine } from '../format/line.ts';
import { isUlid, ulidTimeMs } from '../format/ulid.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { ALL_TIME, isWithin, secondOf, secondsOf, type TimeRange } from './time-range.ts';
import { SEGMENT_SLACK_MS } from './partitions.ts';
import {
  listSegmentsBackwards,
  type ListSegmentsOptions,
  readSegments,
  readThese,
  type StoredSegment,
  type Unreadable,
} from './store-reader.ts';

/** A line that belongs to an exchange. */
export type ExchangeLine = Extract<Line, { exchange: string | null }>;

export interface ReadExchange {
  exchange: string;
  stream: string;
  /** Where its first line stands: cluster, namespace and server are in `place`. */
  segment: StoredSegment;
  /** Its lines, by part. */
  lines: ExchangeLine[];
  /** The bytes of each of `lines` as recorded, and of `resultsElsewhere` after them, when they were asked for. */
  raw: Buffer[];
  /** Results of its operations that came later in another exchange, or that no bytes carried. */
  resultsElsewhere: ResultLine[];
  /** Whether all parts up to `end` were found. If not, it is still running, or its recorder died, or lines are missing. */
  complete: boolean;
}

export interface ReadExchangeOptions {
  onUnreadable: (problem: Unreadable) => void;
  /** Keep the bytes of lines too. */
  raw?: boolean;
  signal?: AbortSignal;
}

/**
 * Reads an exchange, or answers null when the store holds no line of it.
 * @throws StoreError when the store itself can't be read
 */
export async function readExchange(
  store: ObjectStore,
  exchange: string,
  options: ReadExchangeOptions,
): Promise<ReadExchange | null> {
  if (!isUlid(exchange)) return null;
  const began = ulidTimeMs(exchange);
  const fromSecond = secondOf(began - SEGMENT_SLACK_MS);
  const near = await search(
    store,
    exchange,
    { fromSecond, toSecond: secondOf(began + SEGMENT_SLACK_MS) },
    options,
  );
  if (near !== null && near.whole) return near.read;
  // It goes on for longer, or its end is not recorded.
  if (near !== null) return (await search(store, exchange, { fromSecond }, options))?.read ?? null;
  // A recorder whose clock was set back makes ids that are ahead of its lines: then the whole store is searched.
  return (await search(store, exchange, {}, options))?.read ?? null;
}

/** `whole`: nothing of it can be in later segments. */
async function search(
  store: ObjectStore,
  exchange: string,
  range: Pick<ListSegmentsOptions, 'fromSecond' | 'toSecond'>,
  options: ReadExchangeOptions,
): Promise<{ read: ReadExchange; whole: boolean } | null> {
  const lines = new Map<number, ExchangeLine>();
  const resultsElsewhere: ResultLine[] = [];
  const raw = createRawLines(options);
  let found = null as StoredSegment | null;
  let whole = false;
  for await (const { segment, lines: linesOf } of readSegments(store, { ...options, ...range })) {
    if (found !== null && segment.place.stream !== found.place.stream) continue;
    for (const { line, bytes } of linesOf(exchange)) {
      if (!('exchange' in line)) continue;
      if (line.exchange === exchange && line.part !== null) {
        lines.set(line.part, line);
        raw.add(line.part, bytes);
      } else if (line.type === 'result' && line.call_exchange === exchange) {
        resultsElsewhere.push(line);
        raw.addLate(bytes);
      } else continue;
      found ??= segment;
    }
    whole = found !== null && nothingIsMissing(lines, resultsElsewhere);
    if (whole) break;
  }
  if (found === null) return null;
  const read: ReadExchange = {
    exchange,
    stream: found.place.stream,
    segment: found,
    lines: [...lines.values()].toSorted((a, b) => (a.part ?? 0) - (b.part ?? 0)),
    raw: raw.inOrder(),
    resultsElsewhere,
    complete: isComplete(lines),
  };
  return { read, whole };
}

/** Gathers the bytes of an exchange's lines, when they are asked for. They are copied: a line must not hold its whole segment in memory. */
export function createRawLines({ raw = false }: Pick<ReadExchangeOptions, 'raw'>) {
  const parts = new Map<number, Buffer>();
  const late: Buffer[] = [];
  return {
    add(part: number, bytes: Buffer): void {
      if (raw) parts.set(part, Buffer.from(bytes));
    },
    /** Of a result that came in another exchange. */
    addLate(bytes: Buffer): void {
      if (raw) late.push(Buffer.from(bytes));
    },
    inOrder: (): Buffer[] => [...[...parts].toSorted(([a], [b]) => a - b).map(([, bytes]) => bytes), ...late],
  };
}

/** Whether all parts up to `end` are there. */
export function isComplete(lines: ReadonlyMap<number, ExchangeLine>): boolean {
  const last = lines.get(lines.size - 1);
  if (last?.type !== 'end' || last.ended.parts !== lines.size) return false;
  return [...lines.keys()].every((part) => part < lines.size);
}

function nothingIsMissing(
  lines: ReadonlyMap<number, ExchangeLine>,
  elsewhere: readonly ResultLine[],
): boolean {
  const last = lines.get(lines.size - 1);
  if (last?.type !== 'end' || !isComplete(lines)) return false;
  const answered = new Set(elsewhere.map((result) => result.operation));
  return last.ended.open_operations.every((operation) => answered.has(operation));
}

/**
 * The id of the exchange that began last, or null when there is none. Goes back as far as it must: segments may hold only refused requests.
 * @param options.between only what began in this time
 * @throws StoreError
 */
export async function findLastExchange(
  store: ObjectStore,
  options: ReadExchangeOptions & { between?: TimeRange },
): Promise<string | null> {
  const { between = ALL_TIME, signal } = options;
  const newest = listSegmentsBackwards(store, { ...secondsOf(between), ...(signal && { signal }) });
  for await (const read of readThese(store, newest, options)) {
    let last: string | null = null;
    for (const { line } of read.lines('"type":"request"')) {
      if (line.type === 'request' && isWithin(line.time, between)) last = line.exchange;
    }
    if (last !== null) return last;
  }
  return null;
}
