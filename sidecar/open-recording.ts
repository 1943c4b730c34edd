/**
 * Owns the joining of spool, uploader and store: where lines go from the moment they are appended.
 * Invariant: the stream's private key is made here and never leaves the memory of this process.
 */
import { generateKeyPairSync } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '@mcp-recorder/recording/format/time';
import { formatPublicKey } from '@mcp-recorder/recording/proof/note';
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { createS3Store } from '@mcp-recorder/recording/store/s3-store';
import type { Logger } from 'pino';
import type { Configuration, Storage } from './config/schema.ts';
import type { Denials } from './denials.ts';
import { type Gate, type GateCause, spoolCause } from './gate.ts';
import type { LiveTap } from './live/tap.ts';
import type { Metrics } from './metrics.ts';
import type { Report } from './report.ts';
import type { HoldBounds } from './proxy/hold.ts';
import { loadSessionKey } from './session-key.ts';
import type { CommitLimits } from './spool/commit.ts';
import { nodeSpoolFiles, type SpoolFiles } from './spool/files.ts';
import { openSpool, type SpoolControl } from './spool/open-spool.ts';
import type { Obstacle, Spool, SpoolStatus } from './spool/spool.ts';
import type { Pod, Reload } from './pod-parts.ts';
import type { Policy } from './policy.ts';
import { createStoreWatch, type StoreWatch } from './store-watch.ts';
import { createUploader } from './upload.ts';
import { VERSION } from './version.ts';

/** Parts that a pod, a test or a benchmark replaces; without them the recorder runs on the real ones. */
export interface RecorderParts {
  files?: SpoolFiles;
  store?: ObjectStore;
  /** Sizes and ages of segments; a crash test makes them small, so that all that happens to a segment happens often. */
  limits?: Partial<CommitLimits>;
  /** In place of spool and store, so that nothing is recorded: for measuring what recording costs. */
  spool?: Spool;
  log?: Logger;
  /** Of what is held of a response until it can be masked; a test makes them small. */
  hold?: HoldBounds;
  pod?: Pod;
  /** What became of configurations that were found since the start. */
  reload?: () => Reload;
  /** In place of what the configuration says. */
  policy?: Policy;
}

export interface Recording {
  spool: Spool;
  /** Where what comes to the disk can be seen. */
  tap: LiveTap;
  sessionKey: Buffer;
  /** What is known of the way to the store; null when nothing is recorded. */
  watch: StoreWatch | null;
  /** Another bound counts from here on (ms): segments end so that it can be kept. To be told before the gate is. */
  setMaxUploadLag(ms: number): void;
  /** What the uploader has to do. */
  uploads(): { waiting: number; inFlight: number };
  /** Stops uploading. The spool has been drained. */
  close(): Promise<void>;
}

interface Surroundings {
  stream: string;
  clock: Clock;
  gate: Gate;
  metrics: Metrics;
  denials: Denials;
  report: Report;
}

/** How long a start waits for the store's first answer before clients may connect to a gate that is still closed (ms). */
const FIRST_ANSWER_MS = 2_000;
/** Segments are sealed at this age (ms), or earlier when the store may not be so far behind. */
const SEAL_AFTER_MS = 5_000;
const SEAL_SHARE = 1 / 4;
/** What waits longer than this waits for a disk that does not answer (ms). */
const STALL_MS = 5_000;
const STALL_LOOK_MS = 500;
const NO_POD = { pod: null, pod_uid: null, image: null };
/** So long after a segment ought to be sealed it is an object (ms), unless this machine is in trouble. */
const SEALING_MS = 500;

/**
 * Opens the recording of one stream, and tells the gate of spool and store from then on.
 * @throws SpoolDirectoryError; Error when the session key is damaged
 */
export async function openRecording(
  configuration: Configuration,
  parts: RecorderParts,
  surroundings: Surroundings,
): Promise<Recording> {
  const { gate } = surroundings;
  const tap: LiveTap = { reader: null };
  if (parts.spool !== undefined) {
    gate.observeStore({ troubleMs: 0, failing: false, lagMs: 0, unproven: false, cause: null });
    const uploads = () => ({ waiting: 0, inFlight: 0 });
    const { spool } = parts;
    const sessionKey = Buffer.alloc(32);
    return { spool, tap, sessionKey, watch: null, uploads, setMaxUploadLag() {}, close: async () => {} };
  }
  const { stream, clock, metrics, denials, report } = surroundings;
  const files = parts.files ?? nodeSpoolFiles;
  const store = parts.store ?? openStore(configuration.storage, parts.pod?.readStoreCa ?? null);
  const { commit } = configuration.recording;
  let { maxUploadLagMs } = configuration.recording;
  const { directory, sizeLimitBytes, allowTmpfs } = configuration.recording.spool;
  let sealAfterMs = sealAge(maxUploadLagMs);
  /** Segments that a longer age was given to, by a bound that is no more: for so long, and until when, they are not late. */
  let indulgence = { ms: 0, untilMs: 0 };
  const nowMs = () => clock.monotonicUs() / 1000;
  const { privateKey } = generateKeyPairSync('ed25519');
  await files.makeDirectory(directory);
  const session = parts.pod?.sessionKey ?? (await loadSessionKey(directory, files));
  let opened: SpoolControl | null = null;
  let obstacle: Obstacle | null = null;
  function observe(): void {
    // Nothing is open while the spool may still turn out to be somebody else's.
    if (opened === null) return;
    const status = opened.status();
    const indulgedMs = nowMs() < indulgence.untilMs ? indulgence.ms : 0;
    const health = watch.health(Math.max(0, status.lagMs - indulgedMs));
    // A store that answers is not to blame for what never became an object.
    const unready = uploader.waiting === 0 && health.lagMs > sealAfterMs + SEALING_MS;
    health.cause ??= ownCause(status, unready);
    gate.observeStore(health);
  }
  const watch = createStoreWatch({
    store,
    maxUploadLagMs: () => maxUploadLagMs,
    nowMs,
    onProblem: ({ message, hint, reason }) => report.failed(message, hint, reason),
    onReturn: (hung) => uploader.resume(hung),
    onChange: observe,
  });
  const uploader = createUploader({
    store,
    watch,
    nowMs,
    read: (object) => spool.objectBytes(object),
    confirmed(object, durationMs) {
      metrics.segmentUploaded(durationMs);
      report.uploaded(object.key);
      spool.confirm(object);
    },
    onFailure(message, hint) {
      metrics.uploadFailed();
      report.failed(message, hint, 'upload');
    },
  });
  async function abandon(error: unknown): Promise<never> {
    await uploader.close();
    await watch.close();
    throw error;
  }
  const spool = await openSpool({
    directory,
    stream,
    openFields: {
      cluster: configuration.cluster,
      namespace: configuration.namespace,
      server: configuration.name,
      ...(parts.pod?.identity ?? NO_POD),
      recorder: VERSION,
      config: configuration.digest,
      commit,
      public_key: formatPublicKey(privateKey),
      session_key_id: session.id,
    },
    privateKey,
    files,
    clock,
    commit,
    limits: {
      sealAfterMs,
      ...parts.limits,
      sizeLimit: sizeLimitBytes,
    },
    allowTmpfs,
    onWritable(state) {
      obstacle = state.writable ? null : state;
      gate.observeSpool(obstacle);
    },
    beforeSeal() {
      const tails = denials.take();
      denials.segmentEnded();
      return tails;
    },
    handOver(object) {
      metrics.segmentSealed();
      if (object.how === 'recovered') metrics.streamRecovered();
      uploader.add(object);
    },
    onSync: (durationUs) => metrics.synced(durationUs / 1000),
    tap,
    onProblem: (message) =>
      report.failed(
        message,
        'Look at the disk under the spool directory; the recorder goes on trying.',
        'spool',
      ),
  }).catch(abandon);
  opened = spool;
  observe();
  const stallTimer = setInterval(() => {
    if (obstacle !== null) return;
    const { diskWaitMs } = spool.status();
    gate.observeSpool(diskWaitMs < STALL_MS ? null : stalled(diskWaitMs));
  }, STALL_LOOK_MS);
  const waited = new AbortController();
  await Promise.race([
    watch.firstAnswer,
    pause(FIRST_ANSWER_MS, undefined, { signal: waited.signal }).catch(() => {}),
  ]);
  waited.abort();
  return {
    spool,
    tap,
    sessionKey: session.key,
    watch,
    setMaxUploadLag(ms) {
      const before = sealAfterMs;
      maxUploadLagMs = ms;
      sealAfterMs = sealAge(ms);
      // What was cut by a longer age would be late by the new bound through no fault of the store: calls would be refused for a moment.
      if (sealAfterMs < before) indulgence = { ms: before, untilMs: nowMs() + ms };
      spool.setSealAfter(parts.limits?.sealAfterMs ?? sealAfterMs);
      observe();
    },
    uploads: () => ({ waiting: uploader.waiting, inFlight: uploader.inFlight }),
    async close() {
      clearInterval(stallTimer);
      await uploader.close();
      await watch.close();
    },
  };
}

/** What is wrong here, and not with the store, when lines do not get there. @param unready lines are older than any segment gets, and nothing waits for the store */
function ownCause({ stuck, diskWaitMs, lagMs }: SpoolStatus, unready: boolean): GateCause | null {
  if (stuck !== null) return spoolCause(stuck);
  if (diskWaitMs >= STALL_LOOK_MS) return spoolCause(stalled(diskWaitMs));
  if (!unready) return null;
  const message = `what is recorded has not been made ready for the store for ${Math.round(lagMs / 1000)} s`;
  return spoolCause({ reason: 'spool_stalled', message });
}

function stalled(diskWaitMs: number): Obstacle {
  const message = `the disk under the spool has not answered for ${Math.round(diskWaitMs / 1000)} s`;
  return { reason: 'spool_stalled', message };
}

function openStore(storage: Storage, readCa: (() => string) | null): ObjectStore {
  if (storage.kind === 'directory') return createDirectoryStore(storage.directory);
  return createS3Store(readCa === null ? storage.s3 : { ...storage.s3, readCa });
}

/** How old a segment gets (ms), so that the store can be within this bound of the disk. */
function sealAge(maxUploadLagMs: number): number {
  return Math.min(SEAL_AFTER_MS, maxUploadLagMs * SEAL_SHARE);
}
