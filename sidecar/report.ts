/**
 * Owns what a recorder says of itself: counts since its start, the last upload, the last error with what to do about it.
 * Invariant: nothing here holds a body, a header value or a caller's text.
 */
import { formatMicros } from '@mcp-recorder/recording/format/time';
import type { Logger } from 'pino';
import type { Configuration } from './config/schema.ts';
import type { GateState } from './gate.ts';
import type { Metrics } from './metrics.ts';
import type { Reload } from './pod-parts.ts';
import type { ProxyMetrics } from './proxy/context.ts';
import type { SpoolStatus } from './spool/spool.ts';
import type { StoreWatch } from './store-watch.ts';
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

/** What the parts of a recorder say of themselves. */
export interface StatusFacts {
  gate: GateState;
  spool: SpoolStatus;
  watch: StoreWatch | null;
  uploads: { waiting: number; inFlight: number };
  /** Exchanges that passed unrecorded; null where that can't happen. */
  unrecorded: number | null;
  draining: boolean;
  /** In a pod: what became of other configurations. */
  reload: Reload | null;
}

export interface Report {
  /** The wall clock as the format writes it. */
  now(): string;
  uploaded(key: string): void;
  /** @param kind repeats of the same kind are logged only now and then */
  failed(message: string, hint: string, kind: string): void;
  /** The metrics, with this report counting too. */
  counting(metrics: Metrics): ProxyMetrics;
  status(facts: StatusFacts): { configuration: string };
  drained(lines: number, uploaded: boolean): DrainReport;
}

/** A failure that goes on is logged once in this time (ms), with how often it came meanwhile. */
const REPEAT_MS = 30_000;

/** @param inForce the configuration, as it is when it is asked for */
export function createReport(inForce: () => Configuration, stream: string, log: Logger): Report {
  const startedMs = Date.now();
  const counts = { exchanges: 0, operations: 0, segments: 0 };
  let lastUpload: { key: string; time: string } | null = null;
  let lastError: { message: string; hint: string; time: string } | null = null;
  const logged = new Map<string, { atMs: number; repeated: number }>();
  const now = (): string => timeOf(Date.now());

  return {
    now,
    uploaded(key) {
      counts.segments++;
      lastUpload = { key, time: now() };
    },
    failed(message, hint, kind) {
      lastError = { message, hint, time: now() };
      const before = logged.get(kind);
      const atMs = performance.now();
      if (before !== undefined && atMs - before.atMs < REPEAT_MS) {
        before.repeated++;
        return;
      }
      log.error({ hint, ...(before?.repeated ? { repeated: before.repeated } : {}) }, message);
      logged.set(kind, { atMs, repeated: 0 });
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
      masked: metrics.masked,
      withheld: metrics.withheld,
      decided: metrics.decided,
      ruleFailed: metrics.ruleFailed,
      endpointAlarm: metrics.endpointAlarm,
    }),
    status({ gate, spool, watch, uploads, unrecorded, draining, reload }) {
      const { server, name, digest, storage, recording } = inForce();
      return {
        version: VERSION,
        uptime_seconds: Math.round((Date.now() - startedMs) / 1000),
        server: server.url,
        name,
        configuration: digest,
        ...(reload === null
          ? {}
          : { reload: { restart_needed: reload.restartNeeded, refused: reload.refused } }),
        draining,
        gate: {
          state: gate.state,
          since: timeOf(gate.sinceMs),
          reason: gate.cause?.reason ?? null,
          message: gate.cause?.message ?? null,
          hint: gate.cause?.hint ?? null,
          unrecorded_exchanges: unrecorded,
        },
        stream: spool.stream,
        watermarks: spool.watermarks,
        store: {
          location: storage.location,
          commit: recording.commit,
          immutability: watch?.facts?.immutability ?? null,
          versioned: watch?.facts?.versioned ?? null,
          notes: watch?.facts?.notes ?? [],
          ...storeStatus(watch, spool),
          waiting: uploads.waiting,
          in_flight: uploads.inFlight,
        },
        spool: {
          directory: recording.spool.directory,
          bytes: spool.bytes,
          size_limit_bytes: spool.sizeLimit,
          sealed_waiting: spool.sealedWaiting,
          quarantined: spool.quarantined,
          last_problem: spool.lastProblem,
        },
        recorded: counts,
        last_upload: lastUpload,
        last_error: lastError,
      };
    },
    drained: (lines, uploaded) => ({ stream, lines, ...counts, uploaded }),
  };
}

function timeOf(epochMs: number): string {
  return formatMicros(epochMs * 1000);
}

/** What `/status` says of the way to the store. */
function storeStatus(watch: StoreWatch | null, spool: SpoolStatus): object {
  if (watch === null) return {};
  const { cause, troubleMs } = watch.health(spool.lagMs);
  const { lastProblem, lastSuccessMs } = watch;
  return {
    healthy: cause === null,
    failing_since: cause !== null ? timeOf(Date.now() - troubleMs) : null,
    last_success: lastSuccessMs === null ? null : timeOf(lastSuccessMs),
    lag_ms: Math.round(spool.lagMs),
    last_error:
      lastProblem === null
        ? null
        : {
            reason: lastProblem.reason,
            message: lastProblem.message,
            hint: lastProblem.hint,
            time: timeOf(lastProblem.timeMs),
          },
  };
}
