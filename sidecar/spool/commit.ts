/**
 * Owns the group commit: what is appended becomes batches, each one write and one fdatasync, in the segments of this process's stream.
 * Invariants:
 * - one write or sync is on its way at a time, so that a crash tears at most the last batch of the last segment;
 * - an append is answered `null` after the sync of its last line, never before;
 * - a file whose write or sync failed is never written or synced again: what it held before is sealed elsewhere (`salvage`), and the
 *   lines of the failed batch never were part of the stream.
 */
import { randomBytes, type KeyObject } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { PreviousStream, SealHow } from '@mcp-recorder/recording/format/line';
import type { Clock } from '@mcp-recorder/recording/format/time';
import type { LiveTap } from '../live/tap.ts';
import { createAppendQueue, lost, type Pending, refusal } from './append-queue.ts';
import { createBatch } from './batch.ts';
import type { SpoolFiles } from './files.ts';
import { FRAME_HEAD_BYTES, SALT_BYTES, saltCrc } from './frame.ts';
import { createLineWriter, type OpenFields } from './line-writer.ts';
import { createNextFile, obstacleOf } from './next-file.ts';
import { backoffMs, untilDone } from './retry.ts';
import { type AppendOptions, type Durable, type LineTail, type Obstacle, SpoolError } from './spool.ts';

export interface CommitLimits {
  /** A segment is sealed once it holds so many bytes. */
  segmentBytes: number;
  /** Room in each segment file for closing lines and the seal when no other file can be had. */
  reserveBytes: number;
  /** A batch is written once it holds so many bytes. */
  batchBytes: number;
  /** A segment is sealed so long after its first line of traffic. */
  sealAfterMs: number;
  /** Segments are sealed as soon as they hold traffic and fewer than so many wait for the store; 0 = only by size and age. */
  sealsInFlight: number;
}

export interface CommitOptions {
  stream: string;
  openFields: OpenFields;
  privateKey: KeyObject;
  files: SpoolFiles;
  clock: Clock;
  limits: CommitLimits;
  onWritable(state: { writable: true } | ({ writable: false } & Obstacle)): void;
  beforeSeal?: () => LineTail[];
  /** Duration of each fdatasync, microseconds. */
  onSync?: (durationUs: number) => void;
  /** Sees each batch that is on disk. */
  tap?: LiveTap;
}

/** What the commit needs of the rest of the spool. */
export interface CommitSurroundings {
  /** An open segment file for this number, its name on disk. May be called again after a failure. */
  prepare(segment: number, fresh: boolean): Promise<number>;
  /** Removes the file of a segment for good. */
  discard(segment: number): Promise<void>;
  /** The segment's `open` line is on disk. */
  opened(segment: number): void;
  /** Lines of traffic came to the disk: every line with `seq` below this is there. */
  synced(upTo: number): void;
  /** Sealed segments that the store has not confirmed. */
  unconfirmed(): number;
  /** The segment is complete: its file holds `bytes` bytes of frames, the seal included, all on disk. */
  sealed(segment: number, bytes: number, how: SealHow): void;
  /**
   * Makes the object of a segment whose file failed behind `bytes`, and removes the file for good. May be called again after a failure.
   * @returns the root in its seal
   */
  salvage(segment: number, bytes: number, now: string): Promise<Buffer>;
  /** Told of what failed and is tried again. */
  problem(error: unknown): void;
}

export interface Commit {
  append(lines: readonly LineTail[], durable: Durable, options: AppendOptions): void;
  /** Begins the stream at once with an `open` line that names these streams; resolves when it is on disk. */
  openNaming(previousStreams: PreviousStream[]): Promise<void>;
  /** Gets the first file ready; resolves when that has worked, or `onWritable` was told that it has not. */
  start(): Promise<void>;
  /** Space was freed: worth another try. */
  spaceFreed(): void;
  /** The store has confirmed a segment: another may be sealed. */
  confirmed(): void;
  /** No more appends; resolves when the last segment is sealed as last and on disk, or when there was never one. */
  end(): Promise<void>;
  /** Stops trying; every append that still waits is answered. */
  abandon(): void;
  /**
   * After `end` or `abandon`: resolves when no file is open or being made any more.
   * @returns the segment whose file was made ready and never written to, or null
   */
  close(): Promise<number | null>;
  /** Segments, the open one too, are sealed so long after their first line of traffic from now on (ms). */
  setSealAfter(ms: number): void;
  /** `seq` of the next line, and of the first that is not on disk. */
  marks(): { appended: number; synced: number };
  /** Whether a segment is open that holds lines on disk. */
  isOpen(): boolean;
  /** How long the write or sync that is on its way, or the file that lines wait for, has taken so far (ms). */
  diskWaitMs(): number;
  /** Whether appends wait for their answer. */
  isBusy(): boolean;
}

interface Segment {
  number: number;
  fd: number;
  salt: Buffer;
  seedCrc: number;
  /** Bytes on disk, all frames whole. */
  position: number;
  batches: number;
  /** Holds more than its `open` line. */
  dirty: boolean;
  /** When it began to (monotonic, us). */
  soiledUs: number;
}

/** Turns of the event loop that a batch waits at most to become half as large as the last. */
const MAX_TURNS = 3;

const CLOSING: AppendOptions = { closing: true };
/** Part of the reserve that stays free for what `beforeSeal` gives and the seal. */
const SEAL_SHARE = 0.5;

export function createCommit(options: CommitOptions, surroundings: CommitSurroundings): Commit {
  const { files, limits, stream, clock } = options;
  const batch = createBatch(limits.batchBytes);
  const writer = createLineWriter(stream, batch, clock, options.openFields, options.privateKey);
  const queue = createAppendQueue();
  const stopped = new AbortController();
  const next = createNextFile(surroundings.prepare, nextChanged, prepareNext);

  let state: 'ready' | 'repairing' | 'trial' | 'ended' = 'ready';
  let current: Segment | null = null;
  /** Consecutive times that a file failed. */
  let fileFailures = 0;
  let nextSegment = 0;
  let naming: PreviousStream[] = [];
  let named: (() => void) | null = null;
  /** Why the last file failed, until another one works. */
  let broken: Obstacle | null = null;
  let announced: Obstacle | null = null;
  let scheduled = false;
  let inFlight: { bytes: number; seal: SealHow | null; startedUs: number } | null = null;
  let issuedUs = 0;
  /** Since when lines wait for a file that is being made ready; null when none do. */
  let fileWantedUs: number | null = null;
  let answers: Pending[] = [];
  let synced = 0;
  /** Appends that the last batch completed. */
  let lastAppends = 0;
  let turnsWaited = 0;
  let { sealAfterMs } = limits;
  /** Why appends of the batch on its way were refused, if any were. */
  let refusing: Obstacle | null = null;
  let ageTimer: NodeJS.Timeout | undefined;
  let ageDue = false;
  let ending: (() => void) | null = null;
  let quiet: (() => void) | null = null;
  let started: (() => void) | null = null;
  /** What `beforeSeal` gave for the batch on its way. */
  let sealTails: LineTail[] = [];

  function schedule(): void {
    if (scheduled || inFlight !== null) return;
    scheduled = true;
    // After the poll phase: what all of its sockets brought goes into one batch.
    setImmediate(compose);
  }

  /** The segment has reached its size, counting the batch that is being composed. */
  function isFull(segment: Segment): boolean {
    return segment.position + FRAME_HEAD_BYTES + batch.size >= limits.segmentBytes;
  }

  function reserveIsUsed(segment: Segment): boolean {
    return (
      segment.position + FRAME_HEAD_BYTES + batch.size >=
      limits.segmentBytes + limits.reserveBytes * SEAL_SHARE
    );
  }

  function obstacle(): Obstacle | null {
    if (broken !== null) return broken;
    return current === null || isFull(current) ? next.obstacle : null;
  }

  function announce(): void {
    const now = obstacle();
    if (now?.reason === announced?.reason) return;
    announced = now;
    options.onWritable(now === null ? { writable: true } : { writable: false, ...now });
  }

  function prepareNext(): void {
    if (state === 'repairing' || state === 'ended') return;
    next.want(nextSegment, broken !== null);
  }

  /** For descriptors of no further use: what was synced through one stays synced, whatever its close says. */
  async function closeFile(fd: number): Promise<void> {
    await files.close(fd).catch(() => {});
  }

  function nextChanged(failure: unknown): void {
    if (state === 'ended') return;
    if (failure !== null) surroundings.problem(failure);
    announce();
    if (failure !== null || state === 'ready') started?.();
    schedule();
  }

  function begin(): Segment {
    const { fd, segment: number } = next.take();
    nextSegment = number + 1;
    ageDue = false;
    const salt = randomBytes(SALT_BYTES);
    return { number, fd, salt, seedCrc: saltCrc(salt), position: 0, batches: 0, dirty: false, soiledUs: 0 };
  }

  function soil(segment: Segment): void {
    if (segment.dirty) return;
    segment.dirty = true;
    segment.soiledUs = clock.monotonicUs();
    awaitAge(segment);
  }

  function awaitAge({ soiledUs }: Segment): void {
    clearTimeout(ageTimer);
    const leftMs = sealAfterMs - (clock.monotonicUs() - soiledUs) / 1000;
    ageTimer = setTimeout(
      () => {
        ageDue = true;
        schedule();
      },
      Math.max(0, leftMs),
    );
  }

  /** Takes lines from the queue into the batch, as far as batch and segment go. */
  function fill(segment: Segment): void {
    for (let first = queue.first(); first !== undefined; first = queue.first()) {
      while (first.taken < first.lines.length) {
        if (batch.size >= limits.batchBytes) return;
        if (isFull(segment)) {
          const { obstacle: blocked } = next;
          if (blocked === null || (first.closing && reserveIsUsed(segment))) return;
          if (!first.closing) {
            first.error = refusal(blocked, first.taken);
            refusing = blocked;
            break;
          }
        }
        soil(segment);
        writer.line(first.lines[first.taken] as LineTail);
        first.taken += 1;
        if (first.digest !== null && first.taken === first.lines.length) writer.configured(first.digest);
      }
      answers.push(first);
      queue.shift();
    }
  }

  /** How the segment ends with this batch, or null. */
  function sealing(segment: Segment): SealHow | null {
    if (ending !== null && queue.length === 0) return 'shutdown';
    if (isFull(segment) && (next.obstacle === null || reserveIsUsed(segment))) return 'size';
    if (!segment.dirty) return null;
    if (ageDue) return 'age';
    const mayCut = next.obstacle === null && surroundings.unconfirmed() < limits.sealsInFlight;
    return mayCut ? 'batch' : null;
  }

  /**
   * Under load a batch costs more than its lines: when much less has come than the last one held, more is on its way and is
   * waited for, for some turns of the event loop. A lone caller never waits.
   */
  function waitsForMore(): boolean {
    if (turnsWaited === MAX_TURNS || queue.length * 2 >= lastAppends || ending !== null || ageDue)
      return false;
    turnsWaited += 1;
    return true;
  }

  function compose(): void {
    scheduled = false;
    if (inFlight !== null || state === 'ended') return;
    if (waitsForMore()) {
      schedule();
      return;
    }
    turnsWaited = 0;
    announce();
    const wanted = queue.length > 0 || state === 'trial' || (ending !== null && nextSegment > 0);
    if (state === 'repairing' || (current === null && (!next.isReady || !wanted))) {
      const why = obstacle();
      if (why !== null) queue.refuse(why);
      fileWantedUs = why === null && queue.length > 0 ? (fileWantedUs ?? clock.monotonicUs()) : null;
      if (ending !== null && nextSegment === 0 && queue.length === 0) finish();
      return;
    }
    fileWantedUs = null;
    batch.clear();
    current ??= begin();
    if (current.batches === 0) {
      writer.open(current.number, naming);
      if (naming.length > 0) soil(current);
    }
    // A trial risks nobody's lines.
    if (state !== 'trial') fill(current);
    const how = state === 'trial' ? null : sealing(current);
    if (how !== null) {
      sealTails = options.beforeSeal?.() ?? [];
      for (const tail of sealTails) writer.line(tail);
      writer.seal(how, how === 'shutdown');
      clearTimeout(ageTimer);
    }
    if (batch.size === 0) {
      // All who were refused are told now: nobody can have appended behind them.
      refusing = null;
      answer(null);
    } else issue(current, how);
    const half = current.position + batch.size > limits.segmentBytes / 2;
    if ((half || how !== null) && how !== 'shutdown') prepareNext();
  }

  function issue(segment: Segment, how: SealHow | null): void {
    const header = segment.batches === 0 ? { stream, segment: segment.number, salt: segment.salt } : null;
    const bytes = batch.frame(segment.batches, segment.seedCrc, header);
    inFlight = {
      bytes: bytes.length,
      seal: how,
      startedUs: 0,
    };
    issuedUs = clock.monotonicUs();
    files.write(segment.fd, bytes, segment.position, written);
  }

  function written(error: Error | null): void {
    if (error !== null) {
      fail(error, 'write');
      return;
    }
    (inFlight as { startedUs: number }).startedUs = clock.monotonicUs();
    files.syncData((current as Segment).fd, onDisk);
  }

  function onDisk(error: Error | null): void {
    if (error !== null) {
      fail(error, 'sync');
      return;
    }
    const segment = current as Segment;
    const { bytes, seal, startedUs } = inFlight as NonNullable<typeof inFlight>;
    inFlight = null;
    quiet?.();
    options.onSync?.(clock.monotonicUs() - startedUs);
    segment.position += bytes;
    segment.batches += 1;
    const firstSeq = synced;
    synced = writer.nextSeq;
    options.tap?.reader?.(batch.lines(), firstSeq);
    if (segment.dirty) surroundings.synced(synced);
    batch.clear();
    sealTails = [];
    if (segment.batches === 1) opened(segment);
    if (seal !== null) {
      current = null;
      void closeFile(segment.fd);
      surroundings.sealed(segment.number, segment.position, seal);
      if (seal === 'shutdown') finish();
    }
    const partial = queue.first();
    if (partial !== undefined) partial.synced = partial.taken;
    announce();
    answer(null);
    // Who was refused may have appended more meanwhile; what comes behind a loss must be lost too, even if there is room by now.
    if (refusing !== null) queue.refuse(refusing);
    refusing = null;
    if (queue.length > 0 || ending !== null || ageDue) schedule();
  }

  function opened(segment: Segment): void {
    surroundings.opened(segment.number);
    naming = [];
    if (state === 'trial') {
      state = 'ready';
      broken = null;
      fileFailures = 0;
      schedule();
    }
    named?.();
    started?.();
  }

  /** Answers the appends whose last line was in the batch. */
  function answer(failure: ((pending: Pending) => SpoolError) | null): void {
    const answered = answers;
    answers = [];
    lastAppends = answered.length;
    for (const pending of answered) pending.durable(failure === null ? pending.error : failure(pending));
  }

  function fail(error: Error, what: 'write' | 'sync'): void {
    inFlight = null;
    quiet?.();
    if (state === 'ended') return;
    const segment = current as Segment;
    const wasTrial = state === 'trial';
    surroundings.problem(error);
    const message = `${what} of segment ${segment.number} in the spool failed: ${error.message}`;
    current = null;
    state = 'repairing';
    fileFailures += 1;
    broken = obstacleOf(error, `${what} of segment ${segment.number} in the spool failed`);
    clearTimeout(ageTimer);
    batch.clear();
    writer.rewind(synced);
    announce();
    started?.();
    const failure = (pending: Pending) => lost(message, error, pending.synced);
    // Taken first: who is told that its lines are lost appends the line that says so, and that one is kept.
    const behind = wasTrial ? [] : queue.takeAll();
    answer(failure);
    for (const pending of behind) pending.durable(failure(pending));
    if (wasTrial) queue.refuse(broken);
    // Nobody waits for these, so that nobody else could write them again.
    if (sealTails.length > 0) queue.push(sealTails, () => {}, CLOSING);
    sealTails = [];
    void repair(segment);
  }

  async function repair(failed: Segment): Promise<void> {
    const unused = await next.drop();
    await closeFile(failed.fd);
    if (unused !== null) await closeFile(unused.fd);
    const { signal } = stopped;
    const root = await untilDone(
      async () => {
        if (unused !== null) await surroundings.discard(unused.segment);
        if (failed.batches > 0)
          return await surroundings.salvage(failed.number, failed.position, writer.sealTime());
        await surroundings.discard(failed.number);
        return null;
      },
      (error) => {
        surroundings.problem(error);
        broken = obstacleOf(error, `what segment ${failed.number} of the spool held can't be saved`);
      },
      signal,
    );
    if (root !== null) {
      writer.continueAfter(root);
      synced = writer.nextSeq;
    }
    nextSegment = failed.batches > 0 ? failed.number + 1 : failed.number;
    if (fileFailures > 1) await pause(backoffMs(fileFailures - 1), undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    state = 'trial';
    prepareNext();
  }

  function finish(): void {
    state = 'ended';
    clearTimeout(ageTimer);
    stopped.abort();
    const done = ending;
    ending = null;
    done?.();
  }

  return {
    append(lines, durable, how) {
      if (ending !== null || state === 'ended') {
        const hint = 'The recorder is shutting down; send the request to another instance, or again later.';
        queueMicrotask(() => durable(new SpoolError('drained', 'the stream has ended', hint)));
        return;
      }
      queue.push(lines, durable, how);
      schedule();
    },
    openNaming(previousStreams) {
      naming = previousStreams;
      state = 'trial';
      return new Promise((resolve) => {
        named = resolve;
      });
    },
    start() {
      return new Promise((resolve) => {
        started = resolve;
        prepareNext();
      });
    },
    spaceFreed() {
      if (next.obstacle !== null) prepareNext();
    },
    confirmed() {
      if (limits.sealsInFlight > 0 && current?.dirty === true) schedule();
    },
    end() {
      const tails = options.beforeSeal?.() ?? [];
      if (tails.length > 0 && state !== 'ended') queue.push(tails, () => {}, CLOSING);
      return new Promise((resolve) => {
        if (state === 'ended') return resolve();
        ending = resolve;
        if (current === null) prepareNext();
        schedule();
      });
    },
    abandon() {
      if (state === 'ended') return;
      finish();
      const hint = 'The spool keeps what was on disk; the next start finishes it.';
      const failure = (pending: Pending) =>
        new SpoolError('drained', 'the recorder ends before this was on disk', hint, null, pending.synced);
      answer(failure);
      for (const pending of queue.takeAll()) pending.durable(failure(pending));
    },
    async close() {
      const unused = await next.drop();
      if (inFlight !== null) {
        await new Promise<void>((resolve) => {
          quiet = resolve;
        });
      }
      if (current !== null) await closeFile(current.fd);
      if (unused !== null) await closeFile(unused.fd);
      return unused?.segment ?? null;
    },
    setSealAfter(ms) {
      sealAfterMs = ms;
      // One whose seal is on its way needs no clock any more.
      if (current?.dirty === true && (inFlight?.seal ?? null) === null && state !== 'ended')
        awaitAge(current);
    },
    isOpen: () => current !== null && current.batches > 0,
    diskWaitMs() {
      const sinceUs = inFlight === null ? fileWantedUs : issuedUs;
      return sinceUs === null ? 0 : (clock.monotonicUs() - sinceUs) / 1000;
    },
    isBusy: () => queue.length > 0 || inFlight !== null || answers.length > 0,
    marks: () => ({ appended: writer.nextSeq, synced }),
  };
}
