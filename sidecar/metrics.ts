/**
 * Owns the names and meanings of the recorder's metrics.
 * Invariant: no label carries what a caller chose, so the number of series is bounded whatever is sent; counting allocates nothing.
 */
import type { EndHow, Outcome } from '@mcp-recorder/recording/format/line';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { type AccessMetrics, type AccessSources, createAccessMetrics } from './access-metrics.ts';
import type { GateReason, GateState } from './gate.ts';
import { createChildren } from './metric-children.ts';
import type { SpoolStatus } from './spool/spool.ts';

/** Everything that is counted; read by the registry when it is scraped. */
export interface Metrics extends AccessMetrics {
  readonly registry: Registry;
  exchangeEnded(how: EndHow): void;
  /** @param method of the call; null when the answer's call is not known to this process */
  operationEnded(method: string | null, outcome: Outcome): void;
  /** @param reason a key of the table of refusals, never a caller's text */
  denied(reason: string): void;
  /** One fdatasync of the spool. */
  synced(durationMs: number): void;
  segmentSealed(): void;
  /** @param durationMs of the attempt that brought it there */
  segmentUploaded(durationMs: number): void;
  /** The gate has closed. */
  gateClosed(reason: GateReason): void;
  uploadFailed(): void;
  streamRecovered(): void;
  /** An exchange passed without being recorded whole (`recording.onFailure: Open`). */
  exchangeUnrecorded(): void;
  /** An `endpoint` event named another origin: clients would be led around the recorder. */
  endpointAlarm(): void;
}

/** What is looked up when the registry is scraped. */
export interface MetricSources extends AccessSources {
  activeExchanges(): number;
  /** Exchanges whose response is an open event stream. */
  activeStreams(): number;
  gate(): GateState['state'];
  spool(): Pick<SpoolStatus, 'watermarks' | 'bytes' | 'sizeLimit' | 'quarantined' | 'lagMs'>;
  storeFailing(): boolean;
}

/** Methods of all revisions of the protocol; any other text is counted as `other`. */
const KNOWN_METHODS = new Set([
  'completion/complete',
  'elicitation/create',
  'initialize',
  'logging/setLevel',
  'ping',
  'prompts/get',
  'prompts/list',
  'resources/list',
  'resources/read',
  'resources/subscribe',
  'resources/templates/list',
  'resources/unsubscribe',
  'roots/list',
  'sampling/createMessage',
  'server/discover',
  'subscriptions/listen',
  'tasks/cancel',
  'tasks/get',
  'tasks/list',
  'tasks/result',
  'tasks/update',
  'tools/call',
  'tools/list',
]);

/** From a page cache that lies to a disk that is about to fail. */
const SYNC_BUCKETS_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];

/** From a store in the same rack to one that is about to be given up. */
const UPLOAD_BUCKETS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const GATE_STATES: readonly GateState['state'][] = ['Open', 'Degraded', 'Closed', 'FailOpen'];

/** The recorder's metrics, in a registry of their own. */
export function createMetrics(sources: MetricSources): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const counter = (name: string, help: string): (() => void) => {
    const made = new Counter({ name: `mcp_recorder_${name}`, help, registers });
    return () => made.inc();
  };
  const gauge = (name: string, help: string, read: () => number): void => {
    const made = new Gauge({
      name: `mcp_recorder_${name}`,
      help,
      registers: [],
      collect() {
        this.set(read());
      },
    });
    registry.registerMetric(made);
  };

  const exchanges = new Counter({
    name: 'mcp_recorder_exchanges_total',
    help: 'Exchanges (HTTP requests) that ended, by how.',
    labelNames: ['how'],
    registers,
  });
  const operations = new Counter({
    name: 'mcp_recorder_operations_total',
    help: 'Operations (JSON-RPC requests) that ended, by method and outcome.',
    labelNames: ['method', 'outcome'],
    registers,
  });
  const refusals = new Counter({
    name: 'mcp_recorder_denied_total',
    help: 'Requests refused by the recorder, by reason.',
    labelNames: ['reason'],
    registers,
  });
  const syncs = new Histogram({
    name: 'mcp_recorder_spool_sync_duration_seconds',
    help: 'Time of one fdatasync of the spool; every exchange waits for at least two.',
    buckets: SYNC_BUCKETS_SECONDS,
    registers,
  });

  const uploads = new Histogram({
    name: 'mcp_recorder_upload_duration_seconds',
    help: 'Time of each attempt that brought a segment to the store.',
    buckets: UPLOAD_BUCKETS_SECONDS,
    registers,
  });

  gauge('active_exchanges', 'Exchanges in flight.', sources.activeExchanges);
  gauge('active_streams', 'Exchanges in flight whose response is an event stream.', sources.activeStreams);
  gauge('gate_open', '1 while exchanges may begin, 0 while nothing passes.', () =>
    Number(sources.gate() !== 'Closed'),
  );
  const gateState = new Gauge({
    name: 'mcp_recorder_gate_state',
    help: '1 for the state that the gate is in, 0 for the others.',
    labelNames: ['state'],
    registers: [],
    collect() {
      for (const state of GATE_STATES) this.labels(state).set(Number(sources.gate() === state));
    },
  });
  registry.registerMetric(gateState);
  const closings = new Counter({
    name: 'mcp_recorder_gate_closed_total',
    help: 'Times that the gate closed, by reason.',
    labelNames: ['reason'],
    registers,
  });
  gauge('store_failing', '1 while the way to the store fails.', () => Number(sources.storeFailing()));
  gauge(
    'store_lag_seconds',
    'How long the oldest line that the store has not confirmed has been on disk here.',
    () => sources.spool().lagMs / 1000,
  );
  gauge('spool_bytes', 'Bytes of the spool on disk.', () => sources.spool().bytes);
  gauge('spool_limit_bytes', 'Bytes that the spool may hold.', () => sources.spool().sizeLimit);
  gauge('spool_unsynced_lines', 'Lines not yet on disk.', () => {
    const { appended, synced } = sources.spool().watermarks;
    return appended - synced;
  });
  gauge(
    'quarantined_files',
    'Spool files that could not be read and were set aside.',
    () => sources.spool().quarantined,
  );
  gauge('store_lag_lines', 'Lines on disk here that the object store has not confirmed.', () => {
    const { synced, acked } = sources.spool().watermarks;
    return synced - acked;
  });

  const exchangeCounts = createChildren((how: EndHow) => exchanges.labels(how));
  const operationCounts = createChildren((method: string) =>
    createChildren((outcome: Outcome) => operations.labels(method, outcome)),
  );
  const refusalCounts = createChildren((reason: string) => refusals.labels(reason));

  const uploaded = counter('segments_uploaded_total', 'Segments confirmed by the object store.');

  return {
    registry,
    exchangeEnded: (how) => exchangeCounts(how).inc(),
    operationEnded: (method, outcome) =>
      operationCounts(method !== null && KNOWN_METHODS.has(method) ? method : 'other')(outcome).inc(),
    denied: (reason) => refusalCounts(reason).inc(),
    ...createAccessMetrics(registry, sources),
    synced: (durationMs) => syncs.observe(durationMs / 1000),
    segmentSealed: counter('segments_sealed_total', 'Segments sealed.'),
    segmentUploaded(durationMs) {
      uploaded();
      uploads.observe(durationMs / 1000);
    },
    gateClosed: (reason) => closings.labels(reason).inc(),
    uploadFailed: counter(
      'upload_failures_total',
      'Attempts to store a segment that failed; each is retried.',
    ),
    streamRecovered: counter(
      'streams_recovered_total',
      'Streams of dead processes that were sealed at start.',
    ),
    exchangeUnrecorded: counter(
      'unrecorded_exchanges_total',
      'Exchanges that passed without being recorded whole, because recording.onFailure is Open.',
    ),
    endpointAlarm: counter('endpoint_alarms_total', 'Endpoint events that lead clients around the recorder.'),
  };
}
