/**
 * Owns how rows reach standard output, as a table or as JSON lines, and what is said after the last.
 * Invariant: rows are not gathered, so that memory does not grow with what is found.
 */
import { once } from 'node:events';
import type { PlacedGap, Row } from '@mcp-recorder/recording/index/row';
import { formatTime } from '../exchange-text.ts';
import { printableLine } from '../printable.ts';
import { gapJson, rowJson, type SummaryJson } from '../row-json.ts';
import { count, createTable, type Table } from '../table.ts';
import { ROW_COLUMNS, rowCells } from './row-table.ts';

/** What is known at the end. */
export interface Summary extends Omit<SummaryJson, 'v' | 'type' | 'gaps'> {
  gaps: readonly PlacedGap[];
  /** Where it was searched, for a message that says that nothing was found. */
  where: string;
  /** What a person must know of the answer. */
  notes: readonly string[];
}

export interface RowPrinter {
  row(row: Row): Promise<void>;
  end(summary: Summary): Promise<void>;
}

/** Rows that say how wide the columns of the table are. */
const SAMPLE = 500;
/** Gaps that are told one by one. */
const MOST_GAPS = 10;

export function createJsonPrinter(): RowPrinter {
  return {
    row: (row) => write(`${JSON.stringify(rowJson(row))}\n`),
    async end({ gaps, where: _where, notes: _notes, ...summary }) {
      for (const gap of gaps) await write(`${JSON.stringify(gapJson(gap))}\n`);
      await write(`${JSON.stringify({ v: 1, type: 'summary', ...summary, gaps: gaps.length })}\n`);
    },
  };
}

export function createTablePrinter(): RowPrinter {
  let held: string[][] = [];
  let table: Table | null = null;
  const flush = async (): Promise<void> => {
    if (table === null && held.length > 0) {
      table = createTable(ROW_COLUMNS, held);
      await write(`${table.heading}\n`);
    }
    for (const cells of held) await write(`${table?.line(cells) ?? ''}\n`);
    held = [];
  };
  return {
    async row(row) {
      held.push(rowCells(row));
      if (table !== null || held.length === SAMPLE) await flush();
    },
    async end(summary) {
      await flush();
      const text = [...(summary.rows === 0 ? [] : ['']), ...describeSummary(summary)];
      await write(`${text.map(printableLine).join('\n')}\n`);
    },
  };
}

function describeSummary({ rows, more, interrupted, gaps, where, notes }: Summary): string[] {
  const found = rows === 0 ? `Nothing found in ${where}.` : `${count(rows, 'row')}, newest first.`;
  const others = more === true ? ' There are more: --limit gives them.' : '';
  return [
    found + others,
    ...(interrupted ? ['Interrupted: that is not all.'] : []),
    ...notes,
    ...gaps.slice(0, MOST_GAPS).map(describeGap),
    ...(gaps.length > MOST_GAPS
      ? [`... and ${count(gaps.length - MOST_GAPS, 'more gap')} in the recording.`]
      : []),
  ];
}

/** An answer beside a gap proves no absence. */
export function describeGap({ place, gap }: PlacedGap): string {
  const { cause, first_time, last_time, exchanges, exact } = gap;
  const were = exchanges === 1 ? 'exchange was' : 'exchanges were';
  const many = exact ? String(exchanges) : `at least ${exchanges}`;
  const server = `${place.namespace}/${place.server}`;
  return `Gap: ${many} ${were} not recorded between ${formatTime(first_time)} and ${formatTime(last_time)} on ${server} (${cause}).`;
}

/** Waits for a reader that is slower; a closed pipe is main.ts's. */
async function write(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain');
}
