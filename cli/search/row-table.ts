/**
 * Owns a row of a search as a line of a table.
 * Invariant: who called is never said to be known for sure when nothing vouched for it.
 */
import type { Principal } from '@mcp-recorder/recording/format/line';
import type { Row } from '@mcp-recorder/recording/index/row';
import { describeTarget, formatTime } from '../exchange-text.ts';
import { type Column, formatDuration, timeColumn } from '../table.ts';

/** Of `tools/call delete_repo` the end says more. */
export const WHAT_COLUMN: Column = {
  heading: 'WHAT',
  least: 11,
  keep: 'end',
  short: (what) => what.replace(/^tools\/call (?=.)/, ''),
};
export const OUTCOME_COLUMN: Column = { heading: 'OUTCOME', least: 7, style: styleOfOutcome };
export const TOOK_COLUMN: Column = { heading: 'TOOK', least: 7, spare: 2 };
/** It is what `show` takes, so it is never cut. */
export const EXCHANGE_COLUMN: Column = { heading: 'EXCHANGE', whole: true };

export const ROW_COLUMNS: readonly Column[] = [
  timeColumn('TIME'),
  { heading: 'WHO', least: 8 },
  WHAT_COLUMN,
  OUTCOME_COLUMN,
  TOOK_COLUMN,
  { heading: 'SERVER', least: 6, spare: 1 },
  EXCHANGE_COLUMN,
];

export function rowCells(row: Row): string[] {
  const { place, time, exchange, principal, call, result } = row;
  return [
    formatTime(time),
    principal === null ? '-' : describeCaller(principal),
    describeWhat(row),
    describeEnd(row),
    result === null ? '-' : formatDuration(result.duration_us),
    place.namespace === 'local' ? place.server : `${place.namespace}/${place.server}`,
    exchange ?? (call === null ? (result?.call_exchange ?? '-') : '-'),
  ];
}

/** `ada@example.com`; with how little it is known where that is so. */
function describeCaller({ how, name, subject, client_id }: Principal): string {
  const who = name ?? subject ?? client_id;
  if (who === null) return how;
  return how === 'oidc' || how === 'kubernetes' ? who : `${who} (${how})`;
}

function describeWhat(row: Row): string {
  if (row.kind === 'denied') return `refused${row.denied.count === 1 ? '' : ` x${row.denied.count}`}`;
  if (row.kind === 'exchange') return [row.http?.method, row.http?.target].filter(Boolean).join(' ') || '-';
  const { call, result } = row;
  const sender = call?.sender ?? result?.sender;
  const what = describeTarget(call?.method ?? result?.method ?? null, call?.target ?? result?.target ?? null);
  return sender === 'server' ? `${what} (server)` : what;
}

function describeEnd(row: Row): string {
  if (row.kind === 'exchange')
    return row.http?.status === null || row.http === null ? '-' : `HTTP ${row.http.status}`;
  if (row.outcome === null) return '-';
  const code = row.result?.error_code ?? null;
  return `${row.outcome}${code === null ? '' : ` ${code}`}${row.cause === null ? '' : ` (${row.cause})`}`;
}

function styleOfOutcome(cell: string): 'red' | 'yellow' | 'green' | null {
  const [outcome] = cell.split(' ');
  if (outcome === 'error' || outcome === 'tool_error' || outcome === 'denied') return 'red';
  if (outcome === 'unknown' || outcome === 'cancelled') return 'yellow';
  return outcome === 'ok' ? 'green' : null;
}
