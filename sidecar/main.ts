/**
 * Owns the life of one recorder: its parts are made, joined, drained and closed here, and nowhere else.
 * Invariant: it passes exchanges only while its gate lets them, and it is drained in the order listener, spool, status.
 */
import { createClock } from '@mcp-recorder/recording/format/time';
import { createUlidFactory } from '@mcp-recorder/recording/format/ulid';
import { type Logger, pino } from 'pino';
import { makeCertificate } from './certificate.ts';
import type { Address } from './config/address.ts';
import type { Configuration } from './config/schema.ts';
import { createDenials } from './denials.ts';
import { createDrain } from './drain.ts';
import { createOperationTable, type SettledOperation } from './exchange/operations.ts';
import { createSessionNamer } from './exchange/session.ts';
import { createGaps } from './gaps.ts';
import { createGate, type GateState } from './gate.ts';
import { ackPolicy, logGate, readiness } from './gate-meaning.ts';
import { closePolicy, loadPolicy } from './load-policy.ts';
import { createLive, type LiveParts, makeLiveToken } from './live/live.ts';
import { createMetrics } from './metrics.ts';
import type { ProxyContext } from './proxy/context.ts';
import { encodeResult } from './proxy/exchange.ts';
import type { Policy } from './policy.ts';
import { createListener, type Listener } from './proxy/listener.ts';
import { HOLD_BOUNDS } from './proxy/hold.ts';
import { createMemoryBudget } from './proxy/request-body.ts';
import { createUpstream } from './proxy/upstream.ts';
import { openRecording, type RecorderParts } from './open-recording.ts';
import { createReconfiguration } from './reconfigure.ts';
import { createReport, type DrainReport } from './report.ts';
import type { LineTail, Spool } from './spool/spool.ts';
import { openSessionBindings } from './session-bindings.ts';
import { nodeSpoolFiles } from './spool/files.ts';
import { createStatusServer } from './status.ts';

export type { DrainReport, RecorderParts };

export interface Recorder {
  readonly stream: string;
  readonly listenAddress: Address;
  readonly statusAddress: Address;
  /** Lines of the recording so far. */
  readonly lines: number;
  /**
   * Takes over of another configuration what can be taken over while it runs, and states that in the recording. Requests that have begun are
   * judged to their end by what they found.
   * @param signedBy whose signature it bears, as `config` lines give it
   * @returns the keys that keep their value until a restart
   * @throws Error when its rules or its masking can't be compiled; nothing has changed then
   */
  reconfigure(wanted: Configuration, signedBy: string | null): Promise<string[]>;
  /** States in the recording that a configuration was delivered and not taken. @param digest what it would have had */
  refuseConfiguration(digest: string, signedBy: string | null): void;
  /**
   * Comes to rest: calls finish, streams are cut, the recording is sealed and stored. Idempotent.
   * @param hurried the process is about to be killed: what is under way gets a second
   */
  drain(hurried?: boolean): Promise<DrainReport>;
  /** Settled when it has come to rest, also by the hook of its pod. */
  readonly drained: Promise<void>;
}

/** How often counted refusals are written, and operations looked through for those that are too old (ms). */
const DENIALS_MS = 1_000;
const EXPIRY_MS = 10_000;

/**
 * Starts a recorder.
 * @throws SpoolDirectoryError when the spool may not be used; errors of the system when an address can't be bound; Error when a rule or
 * a mask can't be compiled
 */
export async function startRecorder(
  configuration: Configuration,
  parts: RecorderParts = {},
): Promise<Recorder> {
  const log = parts.log ?? pino({ level: configuration.log.level }, pino.destination(2));
  const policy = parts.policy ?? (await loadPolicy(configuration, log));
  return join(configuration, { ...parts, log }, policy).catch((error: unknown) => {
    closePolicy(policy, null);
    throw error;
  });
}

/** Joins the parts, and opens for clients. */
async function join(
  configuration: Configuration,
  parts: RecorderParts & { log: Logger },
  policy: Policy,
): Promise<Recorder> {
  const inForce = { configuration };
  const { pod, log } = parts;
  const { tls } = configuration.status;
  const certificate = tls === undefined ? null : await makeCertificate();
  const clock = createClock();
  const newId = createUlidFactory();
  const stream = newId();
  const report = createReport(() => inForce.configuration, stream, log);
  /** What the gate's changes act on, once it is there. */
  const live: { spool: Spool | null; listener: Listener | null } = { spool: null, listener: null };
  const gate = createGate({
    ...configuration.recording,
    nowMs: () => clock.monotonicUs() / 1000,
    onChange: gateChanged,
  });
  const metrics = createMetrics({
    activeExchanges: () => listener.active,
    activeStreams: () => listener.streams,
    gate: () => gate.current.state,
    spool: () => spool.status(),
    storeFailing: () => (recording.watch?.health(0).cause ?? null) !== null,
    issuers: () => context.policy.identity.issuers,
    credentialFailing: () => (context.policy.credential?.problem ?? null) !== null,
  });
  const gaps = createGaps(report.now, metrics.exchangeUnrecorded);
  gaps.allowed = configuration.recording.onFailure === 'Open';
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
  const sessions = createSessionNamer({ key: recording.sessionKey, nowMs: Date.now });
  const bindings = await openSessionBindings({
    directory: parts.spool === undefined ? configuration.recording.spool.directory : null,
    files: parts.files ?? nodeSpoolFiles,
    hash: sessions.hash,
    onProblem: (message) => report.failed(message, 'Look at the disk under the spool directory.', 'sessions'),
  });

  const context: ProxyContext = {
    spool,
    gate,
    gaps,
    upstream: createUpstream({ origin: new URL(configuration.server.origin) }),
    operations,
    sessions,
    bindings,
    denials,
    budget: createMemoryBudget(configuration.limits.memoryBytes),
    hold: parts.hold ?? HOLD_BOUNDS,
    clock,
    metrics: report.counting(metrics),
    warn: (message, fields) => log.warn(fields, message),
    newId,
    maxRequestBytes: configuration.recording.maxRequestBytes,
    policy,
    draining: false,
  };

  async function abandonStart(error: unknown): Promise<never> {
    context.upstream.close();
    await spool.drain(AbortSignal.abort());
    await recording.close();
    throw error;
  }
  const listener = await createListener(context, configuration.listen).catch(abandonStart);
  live.listener = listener;
  const drain = createDrain({
    stream,
    log,
    context,
    listener,
    spool,
    report,
    timeoutMs: configuration.drain.timeoutMs,
    livesOn: pod !== undefined,
    onLate() {
      live.spool = null;
      spool.setAckPolicy({ kind: 'refuse', message: 'the recorder is shutting down' });
    },
    onRest() {
      clearInterval(denialTimer);
      clearInterval(expiryTimer);
      recordUncarried(operations.drain());
      recordGap();
      gate.drained();
    },
    async close() {
      context.upstream.close();
      await bindings.close();
      closePolicy(context.policy, null);
      await recording.close();
    },
  });
  const describe = () =>
    report.status({
      gate: gate.current,
      spool: spool.status(),
      watch: recording.watch,
      uploads: recording.uploads(),
      unrecorded: gaps.allowed || gaps.total > 0 ? gaps.total : null,
      draining: context.draining,
      reload: parts.reload?.() ?? null,
      policy: context.policy,
    });
  const readersTokenFile = async (): Promise<string | null> => {
    const given = configuration.status.live?.tokenFile ?? null;
    if (given !== null || pod !== undefined || recording.watch === null) return given;
    return await makeLiveToken(configuration.recording.spool.directory, parts.files ?? nodeSpoolFiles);
  };
  const tokenFile = await readersTokenFile().catch(abandonStart);
  const status = await createStatusServer({
    listen: configuration.status.listen,
    readiness: () => readiness(gate, context.draining),
    status: describe,
    registry: metrics.registry,
    ...(certificate === null
      ? {}
      : { tls: { ...certificate, operatorCa: () => inForce.configuration.status.tls?.operatorCa ?? '' } }),
    ...(tokenFile === null ? {} : { live: createLive({ tokenFile, ...liveParts() }) }),
    ...(pod === undefined
      ? {}
      : { link: () => pod.link(describe()), drain: { path: pod.drainPath, run: drain.answer } }),
  }).catch(async (error: unknown) => {
    await listener.drain(AbortSignal.abort());
    return abandonStart(error);
  });

  function liveParts(): Omit<LiveParts, 'tokenFile'> {
    const { cluster, namespace, name: server } = configuration;
    return {
      tap: recording.tap,
      files: parts.files ?? nodeSpoolFiles,
      directory: configuration.recording.spool.directory,
      stream,
      place: { cluster, namespace, server },
      synced: () => spool.status().watermarks.synced,
      tls: tls !== undefined,
    };
  }

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
  function gateChanged(now: GateState, before: GateState): void {
    const { state, cause } = now;
    if (state !== before.state) {
      logGate(log, now);
      if (state === 'Closed') metrics.gateClosed(cause.reason);
    }
    applyAckPolicy();
    cutUnrecorded();
  }

  /** What went on unrecorded must not go on so for as long as a stream lasts, nor at all when that is allowed no more. */
  function cutUnrecorded(): void {
    if (gaps.total === 0) return;
    if (!gaps.allowed) live.listener?.cutUnrecorded('all');
    else if (gate.current.state !== 'FailOpen') live.listener?.cutUnrecorded('streams');
  }

  function applyAckPolicy(): void {
    const { commit, onFailure } = inForce.configuration.recording;
    if (commit === 'ObjectStorage') live.spool?.setAckPolicy(ackPolicy(gate.current, onFailure));
  }

  /** States a gap that is over. */
  function recordGap(): void {
    const line = gaps.take();
    if (line !== null) appendUncarried([line]);
  }

  /** Appends lines that belong to no exchange; those that are lost with a failed sync once more, until the spool takes none. */
  function appendUncarried(tails: LineTail[], digest: string | null = null): void {
    spool.append(
      tails,
      (error) => {
        if (error?.code === 'sync_failed') appendUncarried(tails.slice(error.durableLines), digest);
      },
      { closing: true, digest },
    );
  }

  /** Results that no exchange carries: time-outs, and what a drain leaves open. */
  function recordUncarried(settled: readonly SettledOperation[]): void {
    if (settled.length === 0) return;
    appendUncarried(settled.map((operation) => encodeResult(operation, null, null)));
    for (const { method, outcome } of settled) context.metrics.operationEnded(method, outcome);
  }

  const { reconfigure, refuseConfiguration } = createReconfiguration({
    inForce,
    context,
    policy: parts.policy ?? null,
    filesAreMounted: pod !== undefined,
    log,
    report,
    append: appendUncarried,
    changed(before, { maxUploadLagMs, onFailure }) {
      gaps.allowed = onFailure === 'Open';
      const hasOtherLag = maxUploadLagMs !== before.maxUploadLagMs;
      if (hasOtherLag) recording.setMaxUploadLag(maxUploadLagMs);
      if (hasOtherLag || onFailure !== before.onFailure) gate.setPolicy({ maxUploadLagMs, onFailure });
      applyAckPolicy();
      cutUnrecorded();
    },
  });

  async function end(): Promise<DrainReport> {
    const ended = await drain.begin(0);
    await status.close();
    return ended;
  }

  let ending: Promise<DrainReport> | null = null;
  return {
    stream,
    listenAddress: listener.address,
    statusAddress: status.address,
    get lines() {
      return spool.status().watermarks.appended;
    },
    drained: drain.ended,
    reconfigure,
    refuseConfiguration,
    drain(hurried = false) {
      if (hurried) drain.hurry();
      ending ??= end();
      return ending;
    },
  };
}
