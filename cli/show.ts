/**
 * Owns `mcp-recorder show`: one exchange for people, or the operations that ended last.
 */
import type { ResultLine } from '@mcp-recorder/recording/format/line';
import { findLastExchange, readExchange } from '@mcp-recorder/recording/read/exchange-reader';
import { listSegments, readSegment, type StoredSegment } from '@mcp-recorder/recording/read/store-reader';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { Command } from 'commander';
import { CommandFailure, EXIT } from './failure.ts';
import {
  describeExchange,
  describeOutcome,
  describePrincipal,
  describeTarget,
  formatTime,
} from './exchange-text.ts';
import { createProgress, watchReads } from './progress.ts';
import { openStore } from './store-argument.ts';
import { formatDuration, renderTable } from './table.ts';
import { reportUnreadable } from './unreadable.ts';

const NEWEST_OPERATIONS = 20;

export function showCommand(): Command {
  return new Command('show')
    .summary('show an exchange, or the operations that ended last')
    .description(
      'Shows an exchange: who asked which tool for what, when, what came back, and how long it took. ' +
        `Without an exchange: the ${NEWEST_OPERATIONS} operations that ended last.`,
    )
    .argument('<store>', 'directory of the recording')
    .argument('[exchange]', 'id of the exchange')
    .option('--last', 'the exchange that began last')
    .action(async (argument: string, exchange: string | undefined, { last = false }: { last?: boolean }) => {
      if (exchange !== undefined && last) throw new CommandFailure('Give an exchange or --last, not both.');
      const progress = createProgress();
      const store = watchReads(await openStore(argument), progress);
      const text = await (exchange === undefined && !last
        ? showNewest(store)
        : showExchange(store, exchange ?? null)
      ).finally(progress.done);
      process.stdout.write(`${text.join('\n')}\n`);
    });
}

/** @param id null: the exchange that began last */
async function showExchange(store: ObjectStore, id: string | null): Promise<string[]> {
  const options = { onUnreadable: reportUnreadable };
  const exchange = id ?? (await findLastExchange(store, options));
  const found = exchange === null ? null : await readExchange(store, exchange, options);
  if (found === null) {
    process.exitCode = EXIT.no;
    return [
      exchange === null
        ? `No exchange in ${store.location} yet.`
        : `No exchange ${exchange} in ${store.location}.`,
    ];
  }
  const text = describeExchange(found.lines, found.resultsElsewhere);
  if (!found.complete) text.push('', 'Not complete: it was still running, or its end has not been recorded.');
  return text;
}

async function showNewest(store: ObjectStore): Promise<string[]> {
  const results: ResultLine[] = [];
  for (const segment of await newestFirst(store)) {
    if (results.length >= NEWEST_OPERATIONS) break;
    const lines = await readSegment(store, segment, { onUnreadable: reportUnreadable });
    const inSegment: ResultLine[] = [];
    for (const { line } of lines?.lines('"type":"result"') ?? []) {
      if (line.type === 'result') inSegment.push(line);
    }
    results.push(...inSegment.toReversed().slice(0, NEWEST_OPERATIONS));
  }
  if (results.length === 0) return [`No operation has ended in ${store.location} yet.`];
  const rows = results
    .toSorted((a, b) => (a.time < b.time ? -1 : 1))
    .slice(-NEWEST_OPERATIONS)
    .map((result) => [
      formatTime(result.time),
      describePrincipal(result.principal),
      describeTarget(result.method, result.target),
      describeOutcome(result),
      formatDuration(result.duration_us),
      result.call_exchange ?? '-',
    ]);
  return renderTable(['ENDED', 'WHO', 'WHAT', 'OUTCOME', 'TOOK', 'EXCHANGE'], rows);
}

async function newestFirst(store: ObjectStore): Promise<StoredSegment[]> {
  const segments = await Array.fromAsync(listSegments(store));
  return segments.toSorted((a, b) => (a.place.second < b.place.second ? 1 : -1));
}
