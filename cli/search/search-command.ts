/**
 * Owns `mcp-recorder search`: who called what, when, and what came of it.
 */
import type { Row } from '@mcp-recorder/recording/index/row';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { Command } from 'commander';
import type { Reading } from '../audit/reading-log.ts';
import { CommandFailure } from '../failure.ts';
import { addFilterOptions, askedOf, FILTER_HELP, type FilterOptions, readFilter } from '../filter-options.ts';
import { catchInterrupt } from '../interrupt.ts';
import { addIndexOption, type IndexFlags, type OpenedReader, withReader } from '../open-reader.ts';
import {
  addReadingOptions,
  addStoreArgument,
  type ReadingFlags,
  readingFlagsOf,
  withStore,
} from '../store-argument.ts';
import { count } from '../table.ts';
import { inThatTime } from '../time-options.ts';
import { compileWhere, describeWhereErrors } from '../where.ts';
import { findGaps } from '../find-gaps.ts';
import { findRows, type Search } from './find-rows.ts';
import { createJsonPrinter, createTablePrinter } from './print-rows.ts';

const DEFAULT_LIMIT = 50;

interface SearchFlags extends ReadingFlags, FilterOptions, IndexFlags {
  limit?: string;
  json?: boolean;
}

export function searchCommand(): Command {
  const command = new Command('search')
    .summary('find who called what, when, and what came of it')
    .description(
      'Finds calls and other requests: who, with what, when, and what came of it. The newest come first. ' +
        `Ctrl-C prints what was found until then. ${FILTER_HELP}\n` +
        'Exit code 0: searched, also when nothing was found; 2: could not be read; 130: interrupted.',
    );
  addFilterOptions(addStoreArgument(command))
    .option('--limit <n>', `so many rows at most, or "all" (default: ${DEFAULT_LIMIT})`)
    .option('--json', 'print JSON lines: rows, gaps in the recording, and a summary');
  return addReadingOptions(addIndexOption(command)).action(search);
}

async function search(argument: string, options: SearchFlags): Promise<void> {
  const filter = readFilter(options);
  const limit = options.limit === undefined ? DEFAULT_LIMIT : readLimit(options.limit);
  const where = options.where === undefined ? null : await compileWhere(options.where);
  const { index = true, json = false } = options;
  const { signal, release } = catchInterrupt();
  const use = (store: ObjectStore, reading: Reading): Promise<void> =>
    withReader(store, { index, signal }, (opened) =>
      printFound({ ...opened, store, reading }, { filter, where, limit, signal }, json),
    );
  const asked = { command: 'search', asked: { ...askedOf(options), limit } };
  await withStore(argument, readingFlagsOf(options), use, { asked }).finally(release);
}

interface Searched extends OpenedReader {
  store: ObjectStore;
  reading: Reading;
}

async function printFound({ reader, unreadable, store, reading }: Searched, search: Search, json: boolean) {
  const { filter, signal } = search;
  const printer = json ? createJsonPrinter() : createTablePrinter();
  const found = findRows(reader, search);
  let rows = 0;
  let last: Row | null = null;
  let step = await found.next();
  for (; step.done !== true; step = await found.next()) {
    const row = step.value;
    reading.saw({ session: row.session?.id ?? null, exchange: row.exchange });
    await printer.row(row);
    rows += 1;
    last = row;
  }
  const { more, where } = step.value;
  // What is before the last row that is shown was not searched.
  const between = more === true && last !== null ? { ...filter.between, since: last.time } : filter.between;
  const gaps = await findGaps(reader, { ...filter, between });
  await printer.end({
    rows,
    more,
    interrupted: signal.aborted,
    gaps,
    unreadable: unreadable(),
    where_errors: where?.errors() ?? 0,
    where: store.location + inThatTime(filter.between),
    notes: [
      ...(where === null ? [] : describeWhereErrors(where)),
      ...(unreadable() === 0
        ? []
        : [`${count(unreadable(), 'thing')} could not be read as it should be: this may not be all.`]),
    ],
  });
}

/** @returns null: all */
function readLimit(given: string): number | null {
  if (given === 'all') return null;
  const limit = /^\d{1,9}$/.test(given) ? Number(given) : 0;
  if (limit > 0) return limit;
  throw new CommandFailure(`--limit: found ${JSON.stringify(given)}; needs a number from 1, or all.`);
}
