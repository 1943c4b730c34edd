/**
 * Owns the life of one recorder: its parts are made, joined, drained and closed here, and nowhere else.
 * Invariant: it passes exchanges only while its gate lets them, and it is drained in the order listener, spool, status.
 */
import { encodePrincipal } from '@mcp-recorder/recording/format/encode';
import type { Principal } from '@mcp-recorder/recording/format/line';
import { createClock } from '@mcp-recorder/recording/format/time';
import { createUlidFactory } from '@mcp-recorder/recording/format/ulid';
import { pino } from 'pino';
import type { Address } from './config/address.ts';
import type { Configuration } from './config/schema.ts';
import { createDenials } from './denials.ts';
import { createOperationTable, type SettledOperation } from './exchange/operations.ts';
import { createSessionNamer } from './exchange/session.ts';
import { createGaps } from './gaps.ts';
import { createGate, type Gate, type GateState, isShared } from './gate.ts';
import { createMetrics } from './metrics.ts';
import type { ProxyContext } from './proxy/context.ts';
import { encodeResult } from './proxy/exchange.ts';
import { createListener, type Listener } from './proxy/listener.ts';
import { createMemoryBudget } from './proxy/request-body.ts';
import { createUpstream } from './proxy/upstream.ts';
import { openRecording, type RecorderParts } from './open-recording.ts';
import { createReport, type DrainReport } from './report.ts';
import type { AckPolicy, LineTail, Spool } from './spool/spool.ts';
import { createStatusServer } from './status.ts';

export type { DrainReport, RecorderParts };

export interface Recorder {
  readonly stream: string;
  readonly listenAddress: Address;
  readonly statusAddress: Address;
  /** Comes to rest: calls finish, streams are cut, the recording is sealed and stored. Idempotent. */
  drain(): Promise<DrainReport>;
}

const ANONYMOUS: Principal = {
  how: 'anonymous',
  issuer: null,
  subject: null,
  name: null,
  client_id: null,
  groups: [],
};
/** How often counted refusals are written, and operations looked through for those that are too old (ms). */
const DENIALS_MS = 1_000;
const EXPIRY_MS = 10_000;
/** How long a stop waits for the store; what is not stored by then stays in the spool for the next start (ms). */
const UPLOAD_MS = 10_000;

/**
 * Starts a recorder.
 * @throws SpoolDirectoryError when the spool may not be used; errors of the system when an address can't be bound
 */
export async function startRecorder(
  configuration: Configuration,
  parts: RecorderParts = {},
): Promise<Recorder> {
  const log = parts.log ?? pino({ level: configuration.log.level }, pino.destination(2));
  const clock = createClock();
  const newId = createUlidFactory();
  const stream = newId();
  const report = createReport(configuration, stream, log);
  const { commit, onFailure, maxUploadLagMs } = configuration.recording;
  /** What the gate's changes act on, once it is there. */
  const live: { spool: Spool | null; listener: Listener | null } = { spool: null, listener: null };
  const gate = createGate({
    maxUploadLagMs,
    onFailure,
    nowMs: () => clock.monotonicUs() / 1000,
    onChange: gateChanged,
  });
  const metrics = createMetrics({
    activeExchanges: () => listener.active,
    activeStreams: () => listener.streams,
    gate: () => gate.current.state,
    spool: () => spool.status(),
    storeFailing: () => (recording.watch?.health(0).cause ?? null) !== null,
  });
  const gaps = onFailure === 'Open' ? createGaps(report.now, metrics.exchangeUnrecorded) : null;
  const denials = createDenials(report.now);
  const recording = await openRecording(configuration, parts, {
    stream,
    clock,
    gate,
    metrics,
    denials,
    report,
  });
  const { spool } = recording;
  live.spool = spool;
  applyAckPolicy();
  const operations = createOperationTable({ nowUs: clock.monotonicUs });

  const context: ProxyContext = {
    spool,
    gate,
    gaps,
    upstream: createUpstream({ origin: new URL(configuration.server.origin) }),
    operations,
    sessions: createSessionNamer({ key: recording.sessionKey, nowMs: Date.now }),
    denials,
    budget: createMemoryBudget(configuration.limits.memoryBytes),
    clock,
    metrics: report.counting(metrics),
    warn: (message, fields) => log.warn(fields, message),
    newId,
    maxRequestBytes: configuration.recording.maxRequestBytes,
    principalJson: encodePrincipal(ANONYMOUS),
    principalKey: 'anonymous',
    draining: false,
  };

  async function abandonStart(error: unknown): Promise<never> {
    context.upstream.close();
    await spool.drain(0);
    await recording.close();
    throw error;
  }
  const listener = await createListener(context, configuration.listen).catch(abandonStart);
  live.listener = listener;
  const status = await createStatusServer({
    listen: configuration.status.listen,
    readiness: () => readiness(gate, context.draining),
    status: () =>
      report.status({
        gate: gate.current,
        spool: spool.status(),
        watch: recording.watch,
        uploads: recording.uploads(),
        unrecorded: gaps?.total ?? null,
        draining: context.draining,
      }),
    registry: metrics.registry,
  }).catch(async (error: unknown) => {
    await listener.drain(0);
    return abandonStart(error);
  });
  const denialTimer = setInterval(() => {
    // While nothing can be written they are counted on: as lines they would take the room that is kept for ends.
    if (!gate.spoolWorks) return;
    if (denials.waiting) appendUncarried(denials.take());
    // Its answer may have become a stream only now.
    cutUnrecorded();
    recordGap();
  }, DENIALS_MS);
  const expiryTimer = setInterval(() => recordUncarried(operations.expire()), EXPIRY_MS);

  /** What a change of the gate means for those who wait, and for the log. */
  function gateChanged({ state, cause }: GateState, before: GateState): void {
    if (state !== before.state) {
      if (cause === null) log.info({ gate: state }, 'the gate is open: exchanges pass');
      else {
        const { reason, message, hint } = cause;
        const level = reason === 'drained' ? 'info' : 'warn';
        log[level]({ gate: state, reason, hint }, `the gate is ${GATE_WORDS[state]}: ${message}`);
      }
      if (state === 'Closed') metrics.gateClosed(cause.reason);
    }
    applyAckPolicy();
    cutUnrecorded();
  }

  /** What went on unrecorded must not go on so for as long as a stream lasts. */
  function cutUnrecorded(): void {
    if (gaps !== null && gate.current.state !== 'FailOpen') live.listener?.cutUnrecordedStreams();
  }

  function applyAckPolicy(): void {
    if (commit === 'ObjectStorage') live.spool?.setAckPolicy(ackPolicy(gate.current, onFailure));
  }

  /** States a gap that is over. */
  function recordGap(): void {
    const line = gaps?.take() ?? null;
    if (line !== null) appendUncarried([line]);
  }

  /** Appends lines that belong to no exchange; those that are lost with a failed sync once more, until the spool takes none. */
  function appendUncarried(tails: LineTail[]): void {
    spool.append(
      tails,
      (error) => {
        if (error?.code === 'sync_failed') appendUncarried(tails.slice(error.durableLines));
      },
      { closing: true },
    );
  }

  /** Results that no exchange carries: time-outs, and what a drain leaves open. */
  function recordUncarried(settled: readonly SettledOperation[]): void {
    if (settled.length === 0) return;
    appendUncarried(settled.map((operation) => encodeResult(operation, null, null)));
    for (const { method, outcome } of settled) context.metrics.operationEnded(method, outcome);
  }

  async function drain(): Promise<DrainReport> {
    log.info({ stream }, 'draining');
    // When the time that calls are given has passed, those that wait for the store have nothing to wait for.
    const late = setTimeout(() => {
      live.spool = null;
      spool.setAckPolicy({ kind: 'refuse', message: 'the recorder is shutting down' });
    }, configuration.drain.timeoutMs);
    await listener.drain(configuration.drain.timeoutMs);
    clearTimeout(late);
    clearInterval(denialTimer);
    clearInterval(expiryTimer);
    recordUncarried(operations.drain());
    recordGap();
    gate.drained();
    const { uploaded } = await spool.drain(UPLOAD_MS);
    context.upstream.close();
    await recording.close();
    await status.close();
    log.info({ stream, uploaded }, 'drained');
    return report.drained(spool.status().watermarks.synced, uploaded);
  }

  let draining: Promise<DrainReport> | null = null;
  return {
    stream,
    listenAddress: listener.address,
    statusAddress: status.address,
    drain() {
      draining ??= drain();
      return draining;
    },
  };
}

const GATE_WORDS = {
  Open: 'open',
  Degraded: 'degraded',
  Closed: 'closed',
  FailOpen: 'failing open',
} as const;

/** With commit mode `ObjectStorage`: nothing waits for a store that has been given up. */
function ackPolicy({ state, cause }: GateState, onFailure: 'Closed' | 'Open'): AckPolicy {
  // A disk that takes nothing refuses by itself, and those who have it behind them still wait for a store that is well.
  const givenUp = state === 'Closed' && (isShared(cause) || cause.reason === 'drained');
  if (givenUp) return { kind: 'refuse', message: cause.message };
  // Who wants calls to pass whatever happens is served with what the disk has, as long as the store is in trouble.
  return onFailure === 'Open' && state !== 'Open' ? { kind: 'pass' } : { kind: 'wait' };
}

/**
 * Ready while exchanges may begin; a recorder that drains wants no new ones. What keeps all pods alike from it leaves each of them ready:
 * a client is then told the reason, where otherwise no pod would answer.
 */
function readiness({ current }: Gate, draining: boolean): { ready: boolean; reasons: string[] } {
  if (draining) return { ready: false, reasons: ['draining: the recorder is stopping'] };
  const { state, cause } = current;
  if (cause === null) return { ready: true, reasons: [] };
  return { ready: state !== 'Closed' || isShared(cause), reasons: [`${cause.reason}: ${cause.message}`] };
}
