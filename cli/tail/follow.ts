/**
 * Owns one run of `tail`: store and recorder are followed at once, and what they bring is put into one order and shown.
 * Invariants: standard output has only what was recorded, each thing once; all else is said on standard error; SIGINT and SIGTERM end it well.
 */
import type { Line } from '@mcp-recorder/recording/format/line';
import { formatMicros } from '@mcp-recorder/recording/format/time';
import { isWithin, type TimeRange } from '@mcp-recorder/recording/read/time-range';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import type { Reading } from '../audit/reading-log.ts';
import { printableLine } from '../printable.ts';
import { reportUnreadable } from '../unreadable.ts';
import { followLive } from './live-source.ts';
import { createOperationView } from './operation-view.ts';
import { createOrdering, type Entry } from './ordering.ts';
import { createStoreSource, segmentShown, type StoreSource } from './store-source.ts';
import type { TailFilter } from './tail-filter.ts';

export interface Wanted {
  /** `since` null: what comes from now on. */
  between: TimeRange;
  filter: TailFilter;
  form: 'text' | 'json' | 'raw';
  live: { url: URL; tokenFile: string; caFile: string | null } | null;
}

/** So long a hole is waited for when a store could fill it (ms): a segment is in it within seconds, if its recorder reaches it. */
const HOLE_MS = 60_000;

/**
 * Follows until it is told to end.
 * @param store null: only live
 * @throws StoreError, CommandFailure when it can't begin
 */
export async function follow(
  store: ObjectStore | null,
  reading: Reading | null,
  wanted: Wanted,
): Promise<void> {
  const { between, filter, form, live } = wanted;
  const stop = new AbortController();
  const { signal } = stop;
  const end = (): void => stop.abort();
  process.on('SIGINT', end).on('SIGTERM', end);
  const startMs = Date.now();
  const output = createOutput(signal);
  const view = createOperationView(filter);
  let source: StoreSource | null = null;
  const ordering = createOrdering({
    show,
    missing(stream, from, last) {
      const lines = last - from === 1 ? `Line ${from}` : `Lines ${from} to ${last - 1}`;
      say(
        `${lines} of stream ${stream} did not come${store === null ? '' : ' yet, and are shown when they do'}.`,
      );
    },
    nowMs: () => performance.now(),
    waitMs: store === null ? 0 : HOLE_MS,
  });

  function show({ place, bytes }: Entry): void {
    const line = JSON.parse(bytes.toString('utf8')) as Line;
    const segment = segmentShown(line, ordering);
    if (segment !== null) source?.haveSeen(line.stream, segment);
    const isInTime = isWithin(line.time, between);
    if (form === 'raw') {
      if (!isInTime || !filter.wantsPlace(place)) return;
      output.write(Buffer.concat([bytes, Buffer.from('\n')]));
      note('exchange' in line ? line.exchange : null, 'session' in line ? (line.session?.id ?? null) : null);
      return;
    }
    for (const { text, json, session, exchange } of view.take(place, line, isInTime)) {
      output.write(`${form === 'json' ? JSON.stringify(json) : text}\n`);
      note(exchange, session);
    }
  }

  function note(exchange: string | null, session: string | null): void {
    reading?.saw({ session, exchange });
  }

  try {
    const onlyNew = between.since === null;
    if (store !== null) {
      source = createStoreSource({
        store,
        ordering,
        fromMs: onlyNew ? startMs : Date.parse(between.since ?? ''),
        onlyNew,
        wants: ({ place }) => filter.wantsPlace(place),
        onUnreadable: reportUnreadable,
        say,
        ready: output.ready,
        signal,
      });
      await source.begin();
    }
    say(
      `Following ${[store?.location, live?.url.origin].filter(Boolean).join(' and ')} from ${between.since ?? formatMicros(startMs * 1_000)} on. Ctrl-C ends.`,
    );
    const ways: Promise<void>[] = [];
    if (source !== null) ways.push(source.follow());
    if (live !== null) {
      const offer = ordering.offer;
      ways.push(
        followLive({ ...live, ordering, startMs, past: !onlyNew, offer, say, ready: output.ready, signal }),
      );
    }
    await Promise.all(ways);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    end();
    process.off('SIGINT', end).off('SIGTERM', end);
  }
}

interface Output {
  write(piece: Buffer | string): void;
  /** Resolves when what was written is taken. */
  ready(): Promise<void>;
}

/** Standard output, so that whoever brings more can wait until it is taken. */
function createOutput(signal: AbortSignal): Output {
  let taken: PromiseWithResolvers<void> | null = null;
  const release = (): void => {
    taken?.resolve();
    taken = null;
  };
  process.stdout.on('drain', release);
  signal.addEventListener('abort', release, { once: true });
  return {
    write(piece) {
      if (!process.stdout.write(piece) && !signal.aborted) taken ??= Promise.withResolvers<void>();
    },
    async ready() {
      await taken?.promise;
    },
  };
}

function say(message: string): void {
  process.stderr.write(`mcp-recorder: ${printableLine(message)}\n`);
}
