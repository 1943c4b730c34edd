/**
 * Owns the making of a spool out of its parts, and its life: claim, recovery, writing, drain.
 * Invariant: the directory is claimed from before the first look at it until the last touch.
 */
import type { KeyObject } from 'node:crypto';
import type { PreviousStream } from '@mcp-recorder/recording/format/line';
import type { Clock } from '@mcp-recorder/recording/format/time';
import type { LiveTap } from '../live/tap.ts';
import { createAcks } from './acks.ts';
import { claimDirectory, unusable } from './claim.ts';
import { type Commit, type CommitLimits, createCommit } from './commit.ts';
import type { SpoolFiles } from './files.ts';
import { createHoldings } from './holdings.ts';
import { takeInventory } from './inventory.ts';
import type { OpenFields } from './line-writer.ts';
import { segmentPath, streamPath } from './paths.ts';
import { type RecoveredStream, recoverStream, settleFiles } from './recover.ts';
import { obstacleOf } from './next-file.ts';
import { untilDone } from './retry.ts';
import { createSalvage } from './salvage.ts';
import { createSealer } from './sealer.ts';
import { createSegmentFiles } from './segment-files.ts';
import { SegmentDamage } from './segment-lines.ts';
import type { Durable, LineTail, Obstacle, SealedObject, Spool } from './spool.ts';
import { createSpace } from './space.ts';

export interface SpoolOptions {
  /** Created when missing. */
  directory: string;
  /** ULID of this process's stream. */
  stream: string;
  openFields: OpenFields;
  /** Ed25519; its public half stands in `openFields`. */
  privateKey: KeyObject;
  files: SpoolFiles;
  clock: Clock;
  limits: Partial<CommitLimits> & {
    /** Bytes that all files of the spool together may take. */
    sizeLimit: number;
  };
  /** Whether appends wait for the disk, or for the object store too; segments are then cut as soon as it can take one. */
  commit: 'Spool' | 'ObjectStorage';
  /** Whether memory will do as spool: nothing in it survives the machine. */
  allowTmpfs: boolean;
  /** Told when the spool ceases to take lines, and when it takes them again. */
  onWritable(state: { writable: true } | ({ writable: false } & Obstacle)): void;
  /** Lines that the segment should still get before it is sealed. */
  beforeSeal?: () => LineTail[];
  /** Told of every object that is ready for upload; not before `openSpool` has resolved. */
  handOver(object: SealedObject): void;
  /** Duration of each fdatasync, microseconds. */
  onSync?: (durationUs: number) => void;
  /** Sees each batch of this process's stream that is on disk. */
  tap?: LiveTap;
  /** Told of what failed and is tried again, and of what was put into quarantine. */
  onProblem?: (message: string) => void;
}

/** What the uploader needs of the spool, beside what the recorder does. */
export interface SpoolControl extends Spool {
  /** The store has the object: its file may go. */
  confirm(object: SealedObject): void;
  objectBytes(object: SealedObject): Promise<Buffer>;
  /** Segments, the open one too, are sealed so long after their first line of traffic from now on (ms). */
  setSealAfter(ms: number): void;
}

const DEFAULT_LIMITS: Record<SpoolOptions['commit'], CommitLimits> = {
  Spool: {
    segmentBytes: 16 * 1024 * 1024,
    reserveBytes: 1024 * 1024,
    batchBytes: 256 * 1024,
    sealAfterMs: 5000,
    sealsInFlight: 0,
  },
  // A segment holds what came while others were on their way: small files, many of them.
  ObjectStorage: {
    segmentBytes: 1024 * 1024,
    reserveBytes: 256 * 1024,
    batchBytes: 256 * 1024,
    sealAfterMs: 5000,
    sealsInFlight: 4,
  },
};
/** One segment file becomes the next segment while another is being compressed. */
const SPARES = 2;
/** So many fit into one `open` line; the next start names the others. */
const MAX_NAMED = 5000;

/**
 * Opens the spool of one process: claims the directory, brings what earlier processes left there into the form that is uploaded, and
 * gets ready to write. When the disk refuses the first file the spool opens all the same, says so through `onWritable`, and heals itself.
 * @throws SpoolDirectoryError when the directory is in use, is memory, or can't be used at all
 */
export async function openSpool(options: SpoolOptions): Promise<SpoolControl> {
  const { directory, files, allowTmpfs } = options;
  const limits = { ...DEFAULT_LIMITS[options.commit], ...options.limits };
  const { segmentBytes, sizeLimit } = limits;
  const fileBytes = segmentBytes + limits.reserveBytes;
  const release = await claimDirectory({
    directory,
    files,
    allowTmpfs,
    segmentBytes,
    fileBytes,
    sizeLimit,
  });
  try {
    return await openClaimed({ ...options, limits }, fileBytes, release);
  } catch (error) {
    release();
    throw unusable(directory, error);
  }
}

async function openClaimed(
  options: SpoolOptions & { limits: CommitLimits },
  fileBytes: number,
  release: () => void,
): Promise<SpoolControl> {
  const { directory, stream, files, clock, privateKey } = options;
  const space = createSpace(options.limits.sizeLimit);
  // Segments that are cut for the store come as fast as it takes them.
  const maxSpares = SPARES + 2 * options.limits.sealsInFlight;
  const segmentFiles = createSegmentFiles(directory, files, space, fileBytes, maxSpares);
  const acks = createAcks(() => clock.monotonicUs() / 1000);
  /** Segments of this stream that are sealed and not confirmed. */
  const unconfirmed = new Set<number>();
  const stopped = new AbortController();
  const early: SealedObject[] = [];
  let handOver = (object: SealedObject): void => void early.push(object);
  let lastProblem: string | null = null;
  let writing: Commit | null = null;

  const problem = (error: unknown): void => {
    lastProblem = error instanceof Error ? error.message : String(error);
    options.onProblem?.(lastProblem);
  };
  const holdings = createHoldings(directory, files, space, segmentFiles, () => writing?.spaceFreed());
  const hold = (object: SealedObject): void => {
    holdings.add(object);
    handOver(object);
  };
  let stuck: Obstacle | null = null;
  const sealer = createSealer(
    files,
    segmentFiles,
    (object) => {
      // Those behind it were kept back by the same trouble.
      if (sealer.waiting <= 1 && stuck?.reason !== 'spool_damaged') stuck = null;
      hold(object);
    },
    (error) => {
      if (error instanceof SegmentDamage) stuck = { reason: 'spool_damaged', message: error.message };
      else if (stuck?.reason !== 'spool_damaged')
        stuck = obstacleOf(error, 'what is recorded can not be made ready for the store');
      problem(error);
    },
  );
  const ownPath = (segment: number) => segmentPath(directory, stream, segment, 'spool');

  const inventory = await takeInventory(directory, files, space, segmentFiles, fileBytes);
  let { quarantined } = inventory;
  /** Earlier streams that are not brought to an end yet. */
  let unsettled = inventory.streams.length;
  const parts = { directory, ownStream: stream, privateKey, files, segmentFiles, clock };
  const settled: RecoveredStream[] = [];
  const named: RecoveredStream[] = [];
  const previousStreams: PreviousStream[] = [];
  for (const dead of inventory.streams) {
    const found = await recoverStream(dead, parts, space);
    if (found.head >= 0) holdings.reached(dead, found.head);
    for (const object of found.ready) hold(object);
    if (found.failure !== null) problem(found.failure);
    else if (found.names.length === 0) settled.push(found);
    else if (previousStreams.length + found.names.length <= MAX_NAMED) {
      named.push(found);
      previousStreams.push(...found.names);
    }
  }
  await files.makeDirectory(streamPath(directory, stream));

  const salvage = createSalvage(directory, stream, files, segmentFiles, privateKey, hold);
  const commit = createCommit(options, {
    prepare: (segment, fresh) => segmentFiles.prepare(ownPath(segment), fresh),
    discard: (segment) => segmentFiles.discard(ownPath(segment)),
    opened: (segment) => holdings.reached(stream, segment),
    synced: acks.synced,
    unconfirmed: () => unconfirmed.size,
    sealed(segment, bytes, how) {
      unconfirmed.add(segment);
      sealer.take({ directory, stream, segment }, bytes, how === 'batch');
    },
    salvage,
    problem,
  });
  writing = commit;

  async function settle(streams: RecoveredStream[]): Promise<void> {
    for (const found of streams) {
      const attempt = async () => {
        await settleFiles(found, segmentFiles, space, files);
        return true;
      };
      if ((await untilDone(attempt, problem, stopped.signal)) === null) return;
      quarantined += found.quarantined;
      if (found.quarantined > 0)
        problem(`${found.quarantined} files of stream ${found.stream} were put into quarantine`);
      if (found.resealed !== null) hold(found.resealed);
      holdings.settle(found.stream);
      unsettled -= 1;
    }
  }
  const naming = previousStreams.length > 0 ? commit.openNaming(previousStreams) : Promise.resolve();
  let settling = settle(settled);
  async function settleAll(): Promise<void> {
    await settling;
    await naming;
    if (stopped.signal.aborted) return;
    settling = settle(named);
    await settling;
  }
  const allSettled = settleAll();
  await commit.start();
  setImmediate(() => {
    handOver = options.handOver;
    for (const object of early.splice(0)) options.handOver(object);
  });

  /** Everything on disk, sealed as last, uploaded, and the directory left empty; gives up where it stands when the spool is stopped. */
  async function finish(): Promise<void> {
    const { signal } = stopped;
    await commit.end();
    await sealer.idle();
    if (signal.aborted) return;
    await allSettled;
    const unused = await commit.close();
    if (signal.aborted) return;
    if (unused !== null) await segmentFiles.discard(ownPath(unused));
    holdings.settle(stream);
    await holdings.allConfirmed();
    await holdings.swept();
    if (!signal.aborted) await segmentFiles.clear();
  }

  /** Nothing is begun any more; the claim ends when what was begun has ended. */
  async function stop(): Promise<void> {
    stopped.abort();
    commit.abandon();
    sealer.stop();
    holdings.close();
    acks.setPolicy({ kind: 'refuse', message: 'the recorder ends before the store has confirmed this' });
    await Promise.allSettled([commit.close(), sealer.idle(), settling, holdings.swept()]);
    release();
  }

  return {
    stream,
    append(lines, durable, how = {}) {
      if (options.commit === 'Spool' || how.closing === true) return commit.append(lines, durable, how);
      const refused = acks.refusal();
      if (refused !== null && !commit.isBusy()) return queueMicrotask(() => durable(refused));
      // What is refused keeps its place behind what is on its way.
      const answered: Durable = (error) =>
        acks.wait(commit.marks().synced, lines.length, refused ?? error, durable);
      commit.append(refused === null ? lines : [], answered, how);
    },
    setAckPolicy: acks.setPolicy,
    status: () => ({
      stream,
      watermarks: { ...commit.marks(), acked: acks.upTo },
      bytes: space.used,
      sizeLimit: space.limit,
      sealedWaiting: sealer.waiting + holdings.waiting,
      quarantined,
      lagMs: acks.lagMs(),
      diskWaitMs: commit.diskWaitMs(),
      stuck,
      lastProblem,
    }),
    confirm(object) {
      if (object.stream === stream) {
        unconfirmed.delete(object.segment);
        acks.confirmed(object);
        commit.confirmed();
      }
      holdings.confirm(object);
    },
    setSealAfter: commit.setSealAfter,
    objectBytes: async (object) => object.inMemory ?? (await files.read(object.path)),
    async drain(enough) {
      const done = finish().then(
        () => true,
        (error: unknown) => {
          problem(error);
          return false;
        },
      );
      const givenUp = Promise.withResolvers<false>();
      const giveUp = (): void => givenUp.resolve(false);
      if (enough.aborted) giveUp();
      else enough.addEventListener('abort', giveUp);
      const clean = await Promise.race([done, givenUp.promise]);
      enough.removeEventListener('abort', giveUp);
      const left = sealer.waiting + holdings.waiting + unsettled + (commit.isOpen() ? 1 : 0);
      const stopping = stop();
      if (clean) await stopping;
      // A stream that could not be sealed as last is not all there, although each of its objects may be.
      return { uploaded: clean && left === 0, left };
    },
  };
}
