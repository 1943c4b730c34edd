/**
 * Owns `mcp-recorder show`: one exchange for people, or the operations that ended last.
 */
import type { ResultLine } from '@mcp-recorder/recording/format/line';
import { findLastExchange, readExchange } from '@mcp-recorder/recording/read/exchange-reader';
import { listSegmentsBackwards, readThese } from '@mcp-recorder/recording/read/store-reader';
import { isWithin, secondsOf, type TimeRange } from '@mcp-recorder/recording/read/time-range';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { Command } from 'commander';
import type { Reading } from './audit/reading-log.ts';
import { CommandFailure, EXIT } from './failure.ts';
import {
  describeExchange,
  describeOutcome,
  describePrincipal,
  describeTarget,
  formatTime,
} from './exchange-text.ts';
import { createProgress, watchReads } from './progress.ts';
import { addReadingOptions, addStoreArgument, type ReadingFlags, withStore } from './store-argument.ts';
import { formatDuration, renderTable } from './table.ts';
import { addTimeOptions, inThatTime, readTimeOptions, type TimeOptions } from './time-options.ts';
import { reportUnreadable } from './unreadable.ts';

const NEWEST_OPERATIONS = 20;

export function showCommand(): Command {
  const command = new Command('show')
    .summary('show an exchange, or the operations that ended last')
    .description(
      'Shows an exchange: who asked which tool for what, when, what came back, and how long it took. ' +
        `Without an exchange: the ${NEWEST_OPERATIONS} operations that ended last.`,
    );
  addStoreArgument(command)
    .argument('[exchange]', 'id of the exchange')
    .option('--last', 'the exchange that began last');
  addTimeOptions(command, 'only what ended in this time (with --last: what began in it)');
  return addReadingOptions(command).action(
    async (
      argument: string,
      exchange: string | undefined,
      options: ReadingFlags & TimeOptions & { last?: boolean },
    ) => {
      const { last = false, since, until, ...flags } = options;
      const between = readTimeOptions({ since, until });
      if (exchange !== undefined && (between.since !== null || between.until !== null)) {
        throw new CommandFailure('--since and --until go with --last or the list, not with an exchange.');
      }
      if (exchange !== undefined && last) throw new CommandFailure('Give an exchange or --last, not both.');
      const progress = createProgress();
      const asked = { command: 'show', asked: { exchange, last, since, until } };
      const read = async (opened: ObjectStore, reading: Reading): Promise<string[]> => {
        const store = watchReads(opened, progress);
        return await (exchange === undefined && !last
          ? showNewest(store, between, reading)
          : showExchange(store, exchange ?? null, between, reading)
        ).finally(progress.done);
      };
      const text = await withStore(argument, flags, read, { asked });
      process.stdout.write(`${text.join('\n')}\n`);
    },
  );
}

/** @param id null: the exchange that began last */
async function showExchange(
  store: ObjectStore,
  id: string | null,
  between: TimeRange,
  reading: Reading,
): Promise<string[]> {
  const options = { onUnreadable: reportUnreadable, between };
  const exchange = id ?? (await findLastExchange(store, options));
  const found = exchange === null ? null : await readExchange(store, exchange, options);
  if (found === null) {
    process.exitCode = EXIT.no;
    return [
      exchange === null
        ? `No exchange in ${store.location}${inThatTime(between)} yet.`
        : `No exchange ${exchange} in ${store.location}.`,
    ];
  }
  reading.saw({ session: null, exchange: found.exchange });
  const text = describeExchange(found.lines, found.resultsElsewhere);
  if (!found.complete) text.push('', 'Not complete: it was still running, or its end has not been recorded.');
  return text;
}

async function showNewest(store: ObjectStore, between: TimeRange, reading: Reading): Promise<string[]> {
  const results: ResultLine[] = [];
  const segments = listSegmentsBackwards(store, secondsOf(between));
  for await (const { lines } of readThese(store, segments, { onUnreadable: reportUnreadable })) {
    const inSegment: ResultLine[] = [];
    for (const { line } of lines('"type":"result"')) {
      if (line.type === 'result' && isWithin(line.time, between)) inSegment.push(line);
    }
    results.push(...inSegment.toReversed().slice(0, NEWEST_OPERATIONS));
    if (results.length >= NEWEST_OPERATIONS) break;
  }
  if (results.length === 0) return [`No operation has ended in ${store.location}${inThatTime(between)} yet.`];
  const newest = results.toSorted((a, b) => (a.time < b.time ? -1 : 1)).slice(-NEWEST_OPERATIONS);
  for (const { session, call_exchange } of newest) {
    reading.saw({ session: session?.id ?? null, exchange: call_exchange });
  }
  const rows = newest.map((result) => [
    formatTime(result.time),
    describePrincipal(result.principal),
    describeTarget(result.method, result.target),
    describeOutcome(result),
    formatDuration(result.duration_us),
    result.call_exchange ?? '-',
  ]);
  return renderTable(['ENDED', 'WHO', 'WHAT', 'OUTCOME', 'TOOK', 'EXCHANGE'], rows);
}
