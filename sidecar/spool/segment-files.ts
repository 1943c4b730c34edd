/**
 * Owns the pre-allocated files that segments are written to: new ones, and finished ones kept as spares. Filling a file with zeros
 * before use makes a sync cheaper (no block is allocated, no size changes); using it again saves the disk from writing it twice.
 * Invariant: after any `prepare` the files of the spool leave room, within the limit, for one more object of the largest size.
 */
import { dirname } from 'node:path';
import type { SpoolFiles } from './files.ts';
import { sparePath } from './paths.ts';
import type { Space } from './space.ts';

/** The spool's own limit forbids another file. */
export class SpaceError extends Error {
  readonly code = 'ENOSPC';
}

export interface SegmentFiles {
  /**
   * A segment file at `path`, its name on disk, open for writing.
   * @param fresh true = never a spare (after a failure: its contents are known to be written to good blocks)
   * @throws SpaceError, or what the disk said; may be called again with the same path
   */
  prepare(path: string, fresh: boolean): Promise<number>;
  /** Keeps a finished segment file as spare, or removes it: when this resolves, `path` is gone for good. After a failure: `discard`. */
  retire(path: string): Promise<void>;
  /** Removes the file for good. May be called again. */
  discard(path: string): Promise<void>;
  /** Counts a spare that was found at the start. */
  adopt(path: string): void;
  /** Gives up one spare for the space it takes; false when there is none. */
  sacrifice(): Promise<boolean>;
  /** Removes all spares. */
  clear(): Promise<void>;
}

/**
 * @param directory of the spool
 * @param fileBytes size of every segment file
 * @param maxSpares that are kept at most: one becomes the next segment while others are being compressed
 */
export function createSegmentFiles(
  directory: string,
  files: SpoolFiles,
  space: Space,
  fileBytes: number,
  maxSpares: number,
): SegmentFiles {
  const spares: string[] = [];
  let nextSpare = 0;
  const doubtful = new Set<string>();

  async function removeForGood(path: string): Promise<void> {
    await files.remove(path);
    await files.syncDirectory(dirname(path));
    space.delete(path);
    doubtful.delete(path);
  }

  /** Runs what changes these paths; when it fails nobody knows which of them exist, so they are removed before the next use. */
  async function changing<T>(paths: readonly string[], change: () => Promise<T>): Promise<T> {
    for (const path of paths) space.set(path, fileBytes);
    try {
      return await change();
    } catch (error) {
      for (const path of paths) doubtful.add(path);
      throw error;
    }
  }

  return {
    async prepare(path, fresh) {
      for (const leftOver of doubtful) await removeForGood(leftOver);
      const added = spares.length === 0 || fresh ? fileBytes : 0;
      if (space.used + added + fileBytes > space.limit) {
        throw new SpaceError(
          `the spool holds ${space.used} bytes and may hold ${space.limit}: no room for another segment of ${fileBytes}`,
        );
      }
      const spare = fresh ? undefined : spares.pop();
      if (spare === undefined) {
        return await changing([path], async () => {
          await files.createZeroed(path, fileBytes);
          return await files.openForWriting(path);
        });
      }
      return await changing([spare, path], async () => {
        await files.rename(spare, path);
        space.delete(spare);
        return await files.openForWriting(path);
      });
    },
    async retire(path) {
      const kept = spares.length < maxSpares && space.used + fileBytes <= space.limit;
      if (!kept || (await files.size(path)) !== fileBytes) {
        await removeForGood(path);
        return;
      }
      const spare = sparePath(directory, nextSpare);
      nextSpare += 1;
      await changing([spare], () => files.rename(path, spare));
      space.delete(path);
      spares.push(spare);
    },
    discard: removeForGood,
    adopt(path) {
      spares.push(path);
      space.set(path, fileBytes);
      nextSpare = Math.max(nextSpare, Number(path.slice(path.lastIndexOf('-') + 1)) + 1);
    },
    async sacrifice() {
      const spare = spares.pop();
      if (spare === undefined) return false;
      await files.remove(spare);
      space.delete(spare);
      return true;
    },
    async clear() {
      while (spares.length > 0) {
        const spare = spares.pop() as string;
        await files.remove(spare);
        space.delete(spare);
      }
    },
  };
}
