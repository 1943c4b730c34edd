/**
 * Owns the names and meanings of the operator's metrics.
 * Invariant: no label carries what the owner of a namespace chose, so the number of series is bounded whatever is applied.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { RecordedMCPServer } from './api/recorded-mcp-server.ts';
import type { Look } from './desired/observed.ts';
import type { CallCount } from './kube/transport.ts';

export interface OperatorMetrics {
  readonly registry: Registry;
  /** @param kind `resource` for one RecordedMCPServer, `cluster` for webhook configurations and admission policies */
  reconciled(kind: ReconcileKind, outcome: 'done' | 'failed', tookMs: number): void;
  /** One admission request was answered. @param outcome such as `changed`, `unchanged`, `refused`, `failed` */
  admitted(kind: string, outcome: string, seconds: number): void;
  looked(look: Look): void;
}

export type ReconcileKind = 'resource' | 'cluster';

/** What is looked up when the registry is scraped. */
export interface OperatorSources {
  calls(): readonly CallCount[];
  isLeader(): boolean;
  queueDepth(): number;
  queueFailing(): number;
  /** Empty on a replica that does not lead: the resources are counted once. */
  resources(): readonly Readonly<RecordedMCPServer>[];
  /** By name of the certificate: its end, ms since the epoch. */
  certificateEnds(): ReadonlyMap<string, number>;
}

/** From an answer out of memory to one that waits for the API server. */
const ADMISSION_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const RECONCILE_BUCKETS_SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export function createOperatorMetrics(sources: OperatorSources): OperatorMetrics {
  const registry = new Registry();
  const registers = [registry];
  const name = (rest: string): string => `mcp_recorder_operator_${rest}`;
  const gauge = (
    rest: string,
    help: string,
    labelNames: readonly string[],
    collect: (made: Gauge) => void,
  ): void => {
    const made: Gauge = new Gauge({
      name: name(rest),
      help,
      labelNames,
      registers,
      collect() {
        made.reset();
        collect(made);
      },
    });
  };

  const reconciles = new Counter({
    name: name('reconciles_total'),
    help: 'Reconciles that ended, by kind and outcome.',
    labelNames: ['kind', 'outcome'],
    registers,
  });
  const durations = new Histogram({
    name: name('reconcile_duration_seconds'),
    help: 'Time of one reconcile.',
    labelNames: ['kind'],
    buckets: RECONCILE_BUCKETS_SECONDS,
    registers,
  });
  const admissions = new Counter({
    name: name('admission_requests_total'),
    help: 'Admission requests answered, by kind of object and outcome.',
    labelNames: ['kind', 'outcome'],
    registers,
  });
  const admissionDurations = new Histogram({
    name: name('admission_duration_seconds'),
    help: 'Time of one answer to an admission request.',
    labelNames: ['kind'],
    buckets: ADMISSION_BUCKETS_SECONDS,
    registers,
  });
  const looks = new Counter({
    name: name('looks_total'),
    help: "Looks at recorded pods, by whether the recorder answered and what became of a connection to the server's port.",
    labelNames: ['link', 'dial'],
    registers,
  });
  const calls = new Counter({
    name: name('api_requests_total'),
    help: 'Requests to the API server, by verb, resource and HTTP status (0: no answer).',
    labelNames: ['verb', 'resource', 'status'],
    registers,
    collect() {
      calls.reset();
      for (const { verb, resource, status, count } of sources.calls()) {
        calls.inc({ verb, resource, status: String(status) }, count);
      }
    },
  });
  gauge('leader', '1 on the replica that reconciles.', [], (made) => made.set(Number(sources.isLeader())));
  gauge('queue_depth', 'Keys that wait for a reconcile.', [], (made) => made.set(sources.queueDepth()));
  gauge('queue_failing', 'Keys whose last reconcile failed.', [], (made) => made.set(sources.queueFailing()));
  gauge(
    'resources',
    'RecordedMCPServers by condition and its status; told by the leader.',
    ['condition', 'status'],
    (made) => {
      for (const { status } of sources.resources()) {
        for (const condition of status?.conditions ?? []) {
          made.inc({ condition: condition.type, status: condition.status });
        }
      }
    },
  );
  gauge(
    'certificate_expiry_timestamp_seconds',
    "When each of the operator's certificates ends.",
    ['certificate'],
    (made) => {
      for (const [certificate, endMs] of sources.certificateEnds()) made.set({ certificate }, endMs / 1000);
    },
  );

  return {
    registry,
    reconciled(kind, outcome, tookMs) {
      reconciles.inc({ kind, outcome });
      durations.observe({ kind }, tookMs / 1000);
    },
    admitted(kind, outcome, seconds) {
      admissions.inc({ kind, outcome });
      admissionDurations.observe({ kind }, seconds);
    },
    looked({ link, dial }) {
      const answered = link.ok ? (link.answer.proven ? 'proven' : 'unproven') : 'none';
      looks.inc({ link: answered, dial });
    },
  };
}
