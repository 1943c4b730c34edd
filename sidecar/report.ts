/**
 * Owns what a recorder says of itself: counts since its start, the last upload, the last error with what to do about it.
 * Invariant: nothing here holds a body, a header value or a caller's text.
 */
import { formatMicros } from '@mcp-recorder/recording/format/time';
import type { Logger } from 'pino';
import type { Configuration } from './config/schema.ts';
import type { GateState } from './gate.ts';
import type { Metrics } from './metrics.ts';
import type { ProxyMetrics } from './proxy/context.ts';
import type { SpoolStatus } from './spool/spool.ts';
import { VERSION } from './version.ts';

export interface DrainReport {
  stream: string;
  /** Lines on disk when the stream ended, its seals included. */
  lines: number;
  exchanges: number;
  operations: number;
  /** Segments that the store confirmed. */
  segments: number;
  /** False when something is left in the spool for the next start. */
  uploaded: boolean;
}

export interface Report {
  /** The wall clock as the format writes it. */
  now(): string;
  uploaded(key: string): void;
  failed(message: string, hint: string): void;
  /** The metrics, with this report counting too. */
  counting(metrics: Metrics): ProxyMetrics;
  status(gate: GateState, spool: SpoolStatus, draining: boolean): object;
  drained(lines: number, uploaded: boolean): DrainReport;
}

export function createReport(configuration: Configuration, stream: string, log: Logger): Report {
  const startedMs = Date.now();
  const counts = { exchanges: 0, operations: 0, segments: 0 };
  let lastUpload: { key: string; time: string } | null = null;
  let lastError: { message: string; hint: string; time: string } | null = null;
  const now = (): string => formatMicros(Date.now() * 1000);

  return {
    now,
    uploaded(key) {
      counts.segments++;
      lastUpload = { key, time: now() };
    },
    failed(message, hint) {
      // One line for each failure that is news; repeats are in the metrics.
      if (lastError?.message !== message) log.error({ hint }, message);
      lastError = { message, hint, time: now() };
    },
    counting: (metrics) => ({
      exchangeEnded(how) {
        counts.exchanges++;
        metrics.exchangeEnded(how);
      },
      operationEnded(method, outcome) {
        counts.operations++;
        metrics.operationEnded(method, outcome);
      },
      denied: metrics.denied,
      endpointAlarm: metrics.endpointAlarm,
    }),
    status: (gate, spool, draining) => ({
      version: VERSION,
      uptime_seconds: Math.round((Date.now() - startedMs) / 1000),
      server: configuration.server.url,
      name: configuration.name,
      configuration: configuration.digest,
      draining,
      gate: {
        state: gate.state,
        since: formatMicros(gate.sinceMs * 1000),
        ...(gate.state === 'Closed' ? { reason: gate.reason, message: gate.message } : {}),
      },
      stream: spool.stream,
      watermarks: spool.watermarks,
      spool: {
        bytes: spool.bytes,
        size_limit_bytes: spool.sizeLimit,
        sealed_waiting: spool.sealedWaiting,
        quarantined: spool.quarantined,
        last_problem: spool.lastProblem,
      },
      recorded: counts,
      last_upload: lastUpload,
      last_error: lastError,
    }),
    drained: (lines, uploaded) => ({ stream, lines, ...counts, uploaded }),
  };
}
