/**
 * Owns getting the file of the next segment ready before it is needed, and trying again while that fails.
 * Invariant: at most one file is ready or being made ready, so that none is forgotten.
 */
import type { Obstacle } from './spool.ts';
import { backoffMs } from './retry.ts';

export interface ReadyFile {
  fd: number;
  segment: number;
}

export interface NextFile {
  readonly isReady: boolean;
  /** Why there is none, since the last attempt failed. */
  readonly obstacle: Obstacle | null;
  /** Begins to get the segment's file ready, unless one is ready or being made. */
  want(segment: number, fresh: boolean): void;
  take(): ReadyFile;
  /** Stops trying; resolves when nothing is under way, with the file that was ready and is not any more. */
  drop(): Promise<ReadyFile | null>;
}

/**
 * @param prepare may be called again after a failure
 * @param changed told when a file is ready (null) or could not be had
 * @param retry called when it is time to want it again
 */
export function createNextFile(
  prepare: (segment: number, fresh: boolean) => Promise<number>,
  changed: (failure: unknown) => void,
  retry: () => void,
): NextFile {
  let ready: ReadyFile | null = null;
  let underWay: Promise<void> | null = null;
  let obstacle: Obstacle | null = null;
  let failures = 0;
  let timer: NodeJS.Timeout | undefined;

  /** Never rejects. */
  async function attempt(segment: number, fresh: boolean): Promise<void> {
    let failure: unknown = null;
    try {
      ready = { fd: await prepare(segment, fresh), segment };
      failures = 0;
      obstacle = null;
    } catch (error) {
      failure = error;
      failures += 1;
      obstacle = obstacleOf(error, 'the spool has no file for the next segment');
      timer = setTimeout(retry, backoffMs(failures));
    }
    underWay = null;
    changed(failure);
  }

  return {
    get isReady() {
      return ready !== null;
    },
    get obstacle() {
      return obstacle;
    },
    want(segment, fresh) {
      if (underWay !== null || ready !== null) return;
      clearTimeout(timer);
      underWay = attempt(segment, fresh);
    },
    take() {
      const taken = ready as ReadyFile;
      ready = null;
      return taken;
    },
    async drop() {
      await underWay;
      clearTimeout(timer);
      const dropped = ready;
      ready = null;
      obstacle = null;
      return dropped;
    },
  };
}

/** What a failure of the disk means for who wants to append. */
export function obstacleOf(error: unknown, what: string): Obstacle {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  const why = error instanceof Error ? error.message : String(error);
  return { reason: full ? 'spool_full' : 'spool_failed', message: `${what}: ${why}` };
}
