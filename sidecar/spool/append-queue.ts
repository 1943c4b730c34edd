/**
 * Owns the appends that wait for the disk, in order.
 * Invariant: every append is answered once. While the spool can't be written only closing appends are kept, and of those only so many
 * bytes; all others are refused.
 */
import { type AppendOptions, type Durable, type LineTail, type Obstacle, SpoolError } from './spool.ts';

/** One append on its way. */
export interface Pending {
  lines: readonly LineTail[];
  durable: Durable;
  closing: boolean;
  /** Of the configuration that its last line begins; null when it is about something else. */
  digest: string | null;
  /** Lines that went into a batch. */
  taken: number;
  /** Lines that are on disk, as far as the append is not complete. */
  synced: number;
  /** Set when it was refused after its turn came. */
  error: SpoolError | null;
}

/** What a person can do about each. */
export const OBSTACLE_HINTS: Readonly<Record<Obstacle['reason'], string>> = {
  spool_full:
    'Uploads must free space: look at the store first. Else raise recording.spool.sizeLimit, or free the disk under the spool directory.',
  spool_failed:
    'Look at the disk under the spool directory (kernel log). The recorder tries again by itself with a new file.',
  spool_stalled:
    'The disk under the spool directory does not answer: look at the kernel log. Calls wait until it does.',
  spool_damaged:
    'The disk gave back other bytes than it was given (kernel log). Restart the recorder: the next start sets the segment aside, names it as lost, and goes on.',
};

/** The answer to an append that an obstacle refuses; `durableLines` of it are on disk or on their way there. */
export function refusal(obstacle: Obstacle, durableLines: number): SpoolError {
  const code = obstacle.reason === 'spool_full' ? 'full' : 'closed';
  return new SpoolError(code, obstacle.message, OBSTACLE_HINTS[obstacle.reason], undefined, durableLines);
}

/** The answer to an append whose lines were lost with a write or sync that failed. */
export function lost(message: string, cause: unknown, durableLines: number): SpoolError {
  return new SpoolError('sync_failed', message, OBSTACLE_HINTS.spool_failed, cause, durableLines);
}

/** Bytes of closing lines that are kept in memory while nothing can be written. */
const KEPT_BYTES = 1024 * 1024;

export interface AppendQueue {
  readonly length: number;
  push(lines: readonly LineTail[], durable: Durable, options: AppendOptions): void;
  first(): Pending | undefined;
  shift(): void;
  /** Answers what can't wait for the obstacle to go. */
  refuse(obstacle: Obstacle): void;
  /** Empties the queue; the caller answers what was in it. */
  takeAll(): Pending[];
}

export function createAppendQueue(): AppendQueue {
  let queue: Pending[] = [];
  let head = 0;
  return {
    get length() {
      return queue.length - head;
    },
    push(lines, durable, { closing = false, digest = null }) {
      queue.push({ lines, durable, closing, digest, taken: 0, synced: 0, error: null });
    },
    first: () => queue[head],
    shift() {
      head += 1;
      // What was taken must not stay reachable, and under steady load the queue is never empty.
      if (head * 2 < queue.length) return;
      queue = queue.slice(head);
      head = 0;
    },
    refuse(obstacle) {
      const kept: Pending[] = [];
      const refused: Pending[] = [];
      let keptBytes = 0;
      for (const pending of queue.slice(head)) {
        for (const line of pending.lines) keptBytes += pending.closing ? line.length : 0;
        const keep = pending.closing && keptBytes <= KEPT_BYTES;
        (keep ? kept : refused).push(pending);
      }
      queue = kept;
      head = 0;
      for (const pending of refused) pending.durable(refusal(obstacle, pending.synced));
    },
    takeAll() {
      const all = queue.slice(head);
      queue = [];
      head = 0;
      return all;
    },
  };
}
