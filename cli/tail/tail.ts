/**
 * Owns `mcp-recorder tail`: follows what is recorded, from a store, live from a recorder, or from both without loss or repetition.
 * Invariants: standard output has only what was recorded, each thing once; all else is said on standard error; Ctrl-C ends it well.
 */
import type { Line } from '@mcp-recorder/recording/format/line';
import { formatMicros } from '@mcp-recorder/recording/format/time';
import { isWithin, type TimeRange } from '@mcp-recorder/recording/read/time-range';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { Command } from 'commander';
import type { Reading } from '../audit/reading-log.ts';
import { CommandFailure } from '../failure.ts';
import { printableLine } from '../printable.ts';
import { addReadingOptions, type ReadingFlags, withStore } from '../store-argument.ts';
import { readTimeOptions } from '../time-options.ts';
import { reportUnreadable } from '../unreadable.ts';
import { followLive } from './live-source.ts';
import { createOperationView } from './operation-view.ts';
import { createOrdering, type Entry } from './ordering.ts';
import { createStoreSource, segmentShown, type StoreSource } from './store-source.ts';
import {
  addTailFilterOptions,
  createTailFilter,
  type TailFilter,
  type TailFilterFlags,
} from './tail-filter.ts';

interface TailFlags extends ReadingFlags, TailFilterFlags {
  live?: string;
  tokenFile?: string;
  ca?: string;
  since?: string;
  json?: boolean;
  raw?: boolean;
}

/** So long a hole is waited for when a store could fill it (ms): a segment is in it within seconds, if its recorder reaches it. */
const HOLE_MS = 60_000;

export function tailCommand(): Command {
  const command = new Command('tail')
    .summary('follow what is recorded, as it happens')
    .description(
      'Follows a recording: a line when a call comes, and one when its result does. From a store it is there within about five ' +
        'seconds; live from the status port of a recorder at once; with both nothing is shown twice, and what one can not give ' +
        'comes from the other.\nEnds with Ctrl-C. Exit code 0: ended so; 2: could not begin.',
    )
    .argument('[store]', 'the recording: a directory, or s3://BUCKET/PREFIX')
    .option('--live <url>', 'status port of a recorder, for example http://127.0.0.1:8643')
    .option(
      '--token-file <file>',
      'holds the token for it: live-token in the spool, or status.live.tokenFile',
    )
    .option('--ca <file>', 'certificates (PEM) to trust there; its own certificate is one too')
    .option('--since <time>', 'begin then: 2026-11-21T08:40:00Z, 2026-11-21, today, yesterday, 2h or 7d ago')
    .option('--json', 'print each event as a line of JSON')
    .option('--raw', 'print the recorded lines exactly');
  addTailFilterOptions(command);
  return addReadingOptions(command).action(async (argument: string | undefined, flags: TailFlags) => {
    const { live, tokenFile, ca, since, json, raw, user, group, tool, method, ...more } = flags;
    const { server, namespace, session, outcome, ...reading } = more;
    const filters = { user, group, tool, method, server, namespace, session, outcome };
    const given = Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== undefined));
    const wanted: Wanted = {
      between: readTimeOptions({ since }),
      filter: createTailFilter(given),
      form: raw === true ? 'raw' : json === true ? 'json' : 'text',
      live: liveOf(live, tokenFile, ca),
    };
    if (
      raw === true &&
      (json === true || Object.keys(given).some((name) => !['server', 'namespace'].includes(name)))
    ) {
      throw new CommandFailure('--raw prints all lines as they are: it takes only --server and --namespace.');
    }
    if (argument === undefined) {
      if (wanted.live === null)
        throw new CommandFailure('Give a store, or --live URL with --token-file FILE, or both.');
      if (Object.keys(reading).length > 0) throw new CommandFailure('--s3-* and --audit need a store.');
      await follow(null, null, wanted);
      return;
    }
    const asked = { command: 'tail', asked: { ...given, since, live, raw, json } };
    const use = (store: ObjectStore, log: Reading): Promise<void> => follow(store, log, wanted);
    await withStore(argument, reading, use, { asked, mayBegin: true });
  });
}

interface Wanted {
  between: TimeRange;
  filter: TailFilter;
  form: 'text' | 'json' | 'raw';
  live: { url: URL; tokenFile: string; caFile: string | null } | null;
}

function liveOf(
  live: string | undefined,
  tokenFile: string | undefined,
  ca: string | undefined,
): Wanted['live'] {
  if (live === undefined) {
    if (tokenFile !== undefined || ca !== undefined)
      throw new CommandFailure('--token-file and --ca need --live URL.');
    return null;
  }
  const url = URL.parse(live);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new CommandFailure(
      `--live: found ${JSON.stringify(live)}; needs a URL such as http://127.0.0.1:8643.`,
    );
  }
  if (tokenFile === undefined) throw new CommandFailure('--live needs --token-file FILE.');
  return { url, tokenFile, caFile: ca ?? null };
}

async function follow(store: ObjectStore | null, reading: Reading | null, wanted: Wanted): Promise<void> {
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
