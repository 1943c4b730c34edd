/**
 * Owns what a recorder says of itself: counts since its start, the last upload, the last error with what to do about it.
 * Invariant: nothing here holds a body, a header value or a caller's text.
 */
import { formatMicros } from '@mcp-recorder/recording/format/time';
import type { Logger } from 'pino';
import type { UpstreamCredential } from './credential/credential.ts';
import type { Configuration } from './config/schema.ts';
import type { GateState } from './gate.ts';
import type { IssuerHealth } from './identity/identity.ts';
import type { Metrics } from './metrics.ts';
import type { Reload } from './pod-parts.ts';
import type { Policy } from './policy.ts';
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
  /** What decides about requests now. */
  policy: Policy;
}

export interface Report {
  /** The wall clock as the format writes it. */
  now(): string;
  uploaded(key: string): void;
  /** @param kind repeats of the same kind are logged only now and then */
  failed(message: string, hint: string, kind: string): void;
  /** The metrics, with this report counting too. */
  counting(metrics: Metrics): ProxyMetrics;
  /** Other rules are in force: what was said of those before is no more. */
  rulesChanged(): void;
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
  const ruleErrors = new Map<string, { rule: string; count: number; last_at: string; problem: string }>();
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
      ruleFailed(rule, message) {
        const name = rule ?? '';
        const count = (ruleErrors.get(name)?.count ?? 0) + 1;
        ruleErrors.set(name, { rule: name, count, last_at: now(), problem: message });
        metrics.ruleFailed(rule);
      },
      denied: metrics.denied,
      endpointAlarm: metrics.endpointAlarm,
      decided: metrics.decided,
      masked: metrics.masked,
      withheld: metrics.withheld,
    }),
    rulesChanged: () => ruleErrors.clear(),
    status({ gate, spool, watch, uploads, unrecorded, draining, reload, policy }) {
      const { server, name, digest, storage, recording, auth } = inForce();
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
        auth: { mode: auth.mode, issuers: policy.identity.issuers.map(issuerStatus) },
        rules: { errors: [...ruleErrors.values()] },
        credential: policy.credential === null ? null : credentialStatus(policy.credential),
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

/** What the last look found. Another is begun: what is missing is told, and that it is there again, also while nobody calls. */
function credentialStatus(credential: UpstreamCredential): object {
  void credential.current();
  return { problem: credential.problem };
}

/** What `/status` says of an issuer. */
function issuerStatus({ issuer, state, keysAgeMs, problem, sinceMs }: IssuerHealth): object {
  const keysAge = keysAgeMs === null ? null : Math.round(keysAgeMs / 1000);
  return { issuer, state, keys_age_seconds: keysAge, problem, since: timeOf(sinceMs) };
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
