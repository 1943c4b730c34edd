/**
 * Owns the list of operations that ended last, for who does not know yet what to look for.
 */
import type { ResultLine } from '@mcp-recorder/recording/format/line';
import { listSegmentsBackwards, readThese } from '@mcp-recorder/recording/read/store-reader';
import { isWithin, secondsOf, type TimeRange } from '@mcp-recorder/recording/read/time-range';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import type { Reading } from '../audit/reading-log.ts';
import { describeOutcome, describePrincipal, describeTarget, formatTime } from '../exchange-text.ts';
import { createProgress, watchReads } from '../progress.ts';
import { EXCHANGE_COLUMN, OUTCOME_COLUMN, TOOK_COLUMN, WHAT_COLUMN } from '../search/row-table.ts';
import { formatDuration, renderTable, timeColumn } from '../table.ts';
import { inThatTime } from '../time-options.ts';
import { reportUnreadable } from '../unreadable.ts';

export const NEWEST_OPERATIONS = 20;

/** As the lines of a table. @throws StoreError */
export async function showNewest(
  opened: ObjectStore,
  between: TimeRange,
  reading: Reading,
): Promise<string[]> {
  const results: ResultLine[] = [];
  const progress = createProgress();
  const segments = listSegmentsBackwards(watchReads(opened, progress), secondsOf(between));
  for await (const { lines } of readThese(watchReads(opened, progress), segments, {
    onUnreadable: reportUnreadable,
  })) {
    const inSegment: ResultLine[] = [];
    for (const { line } of lines('"type":"result"')) {
      if (line.type === 'result' && isWithin(line.time, between)) inSegment.push(line);
    }
    results.push(...inSegment.toReversed().slice(0, NEWEST_OPERATIONS));
    if (results.length >= NEWEST_OPERATIONS) break;
  }
  progress.done();
  if (results.length === 0)
    return [`No operation has ended in ${opened.location}${inThatTime(between)} yet.`];
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
  return renderTable(
    [timeColumn('ENDED'), 'WHO', WHAT_COLUMN, OUTCOME_COLUMN, TOOK_COLUMN, EXCHANGE_COLUMN],
    rows,
  );
}
