/**
 * Owns what is made of the measurements: medians, ratios, bounds, the table.
 * Invariant: ratios are taken within a round, between turns that followed each other, and only then the median of rounds.
 */
import type { CandidateName } from './candidates.ts';

/** One candidate at one concurrency in one round. */
export interface Turn {
  candidate: CandidateName;
  connections: number;
  round: number;
  /** Exchanges a second, over the time of the load and the CPU time that the candidate still owed when it ended. */
  rps: number;
  p50Us: number;
  p99Us: number;
  errors: number;
  /** Of the proxy's process tree, work after the load included; null for `direct`. */
  cpuUsPerExchange: number | null;
  /** CPU seconds that the proxy used after the load ended: sealing, compressing, storing. */
  owedSeconds: number;
  /** Shares of the turn that the cores were busy, and how much of both was nobody's of this benchmark. */
  core0: number;
  core1: number;
  foreign: number;
}

export interface Row {
  connections: number;
  candidate: CandidateName;
  rps: number;
  toNginx: number | null;
  toFastify: number | null;
  p50Us: number;
  p99Us: number;
  cpuUsPerExchange: number | null;
  core0: number;
  core1: number;
  foreign: number;
  errors: number;
}

export interface Bound {
  name: string;
  value: number;
  /** The bound as text, for example `>= 0.22 (aim 0.30)`. */
  bound: string;
  met: boolean;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Linear between neighbours; NaN of nothing. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const low = sorted[Math.floor(at)];
  const high = sorted[Math.ceil(at)];
  if (low === undefined || high === undefined) return Number.NaN;
  return low + (high - low) * (at - Math.floor(at));
}

/** One row for each candidate at each concurrency. */
export function rowsOf(turns: readonly Turn[]): Row[] {
  const groups = Map.groupBy(turns, ({ connections, candidate }) => `${connections} ${candidate}`);
  return [...groups.values()].flatMap((group) => {
    const first = group[0];
    if (first === undefined) return [];
    const { connections, candidate } = first;
    const of = (value: (turn: Turn) => number) => median(group.map(value));
    return [
      {
        connections,
        candidate,
        rps: of((turn) => turn.rps),
        toNginx: ratio(turns, group, 'nginx'),
        toFastify: ratio(turns, group, 'fastify'),
        p50Us: of((turn) => turn.p50Us),
        p99Us: of((turn) => turn.p99Us),
        cpuUsPerExchange: first.cpuUsPerExchange === null ? null : of((turn) => turn.cpuUsPerExchange ?? 0),
        core0: of((turn) => turn.core0),
        core1: of((turn) => turn.core1),
        foreign: of((turn) => turn.foreign),
        errors: group.reduce((sum, turn) => sum + turn.errors, 0),
      },
    ];
  });
}

/** Median over the rounds of throughput as a share of `base`'s in the same round; null when that was not run. */
function ratio(turns: readonly Turn[], group: readonly Turn[], base: CandidateName): number | null {
  const ratios = group.flatMap(({ rps, round, connections }) => {
    const other = turns.find(
      (turn) => turn.candidate === base && turn.round === round && turn.connections === connections,
    );
    return other === undefined ? [] : [rps / other.rps];
  });
  return ratios.length === 0 ? null : median(ratios);
}

/** The bounds that the project sets itself, as far as the candidates that were run allow. `syncUs`: p50 of the disk. */
export function boundsOf(rows: readonly Row[], syncUs: number): Bound[] {
  const row = (candidate: CandidateName, connections: number) =>
    rows.find((one) => one.candidate === candidate && one.connections === connections);
  const loaded = row('recorder', 64);
  const single = row('recorder', 1);
  const direct = row('direct', 1);
  const bounds: Bound[] = [];
  if (loaded?.toNginx != null) {
    bounds.push({
      name: 'throughput with 64 callers, recorded, as a share of nginx pass-through',
      value: loaded.toNginx,
      bound: '>= 0.22 (aim 0.30)',
      met: loaded.toNginx >= 0.22,
    });
  }
  if (loaded?.toFastify != null) {
    bounds.push({
      name: 'throughput with 64 callers, recorded, as a multiple of @fastify/http-proxy',
      value: loaded.toFastify,
      bound: '>= 1.4',
      met: loaded.toFastify >= 1.4,
    });
  }
  if (single !== undefined && direct !== undefined) {
    const added = single.p50Us - direct.p50Us;
    const limit = 2 * syncUs + 200;
    bounds.push({
      name: 'p50 added with one caller, us',
      value: added,
      bound: `<= ${limit.toFixed(0)} (two fdatasyncs of ${syncUs.toFixed(0)} us + 200)`,
      met: added <= limit,
    });
  }
  return bounds;
}

const COLUMNS: [title: string, cell: (row: Row) => string][] = [
  ['callers', (row) => String(row.connections)],
  ['proxy', (row) => row.candidate],
  ['req/s', (row) => row.rps.toFixed(0)],
  ['of nginx', (row) => optional(row.toNginx, 3)],
  ['of fastify', (row) => optional(row.toFastify, 2)],
  ['p50 us', (row) => row.p50Us.toFixed(0)],
  ['p99 us', (row) => row.p99Us.toFixed(0)],
  ['CPU us', (row) => optional(row.cpuUsPerExchange, 1)],
  ['core 0', (row) => percent(row.core0)],
  ['core 1', (row) => percent(row.core1)],
  ['others', (row) => percent(row.foreign)],
  ['errors', (row) => String(row.errors)],
];

/** The table for people: Markdown, columns aligned. */
export function tableOf(rows: readonly Row[]): string {
  const cells = [COLUMNS.map(([title]) => title), ...rows.map((row) => COLUMNS.map(([, cell]) => cell(row)))];
  const widths = COLUMNS.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
  const lines = cells.map(
    (line) =>
      `| ${line.map((cell, column) => (column === 1 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`,
  );
  const rule = `| ${widths.map((width, column) => (column === 1 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return [lines[0], rule, ...lines.slice(1)].join('\n');
}

/** What a reader must know before believing the table. */
export function warningsOf(rows: readonly Row[]): string[] {
  const warnings: string[] = [];
  for (const row of rows) {
    const name = `${row.candidate} with ${row.connections} callers`;
    if (row.errors > 0) warnings.push(`${name}: ${row.errors} requests failed; its figures mean nothing`);
    if (row.foreign > 0.05) {
      warnings.push(
        `${name}: other processes used ${percent(row.foreign)} of the two cores; do not trust it`,
      );
    }
    if (row.candidate !== 'direct' && row.connections > 1 && row.core1 > 0.97 && row.core0 < 0.95) {
      warnings.push(`${name}: core 1 was full before core 0; its throughput is a lower bound`);
    }
  }
  return warnings;
}

function optional(value: number | null, digits: number): string {
  return value === null ? '-' : value.toFixed(digits);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}
