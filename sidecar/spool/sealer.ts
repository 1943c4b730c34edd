/**
 * Owns the way of finished segment files to objects, one at a time and in order.
 * Invariant: an object is handed over only when it is on disk and the file it was made from is gone for good, so that no start makes
 * another object of the same segment. Those that were cut for the store are handed over from memory: what they were made from stays on
 * disk until the store has them (docs/adr/0004-objects-from-memory.md).
 */
import type { SpoolFiles } from './files.ts';
import { type EncodedObject, encodeObject, readSegmentFile, type SegmentPlace } from './object-file.ts';
import { segmentPath } from './paths.ts';
import { untilDone } from './retry.ts';
import type { SegmentFiles } from './segment-files.ts';
import { SegmentDamage } from './segment-lines.ts';
import type { SealedObject } from './spool.ts';

export interface Sealer {
  /** Takes a complete segment file that holds `bytes` bytes of frames. @param fromMemory it was cut for the store, which waits for it */
  take(place: SegmentPlace, bytes: number, fromMemory: boolean): void;
  /** Segments that are not objects yet. */
  readonly waiting: number;
  /** Resolves when all that was taken is handed over, or was given up. */
  idle(): Promise<void>;
  stop(): void;
}

/** Writes an object's file; when the disk is full, spares make way for it. */
export async function writeObject(
  encoded: EncodedObject,
  files: SpoolFiles,
  segmentFiles: SegmentFiles,
): Promise<void> {
  for (;;) {
    try {
      await files.writeWhole(encoded.object.path, encoded.bytes);
      return;
    } catch (error) {
      const full = error instanceof Error && 'code' in error && error.code === 'ENOSPC';
      if (!full || !(await segmentFiles.sacrifice())) throw error;
    }
  }
}

/** The least that is kept for reading a segment, bytes, and how many times what is needed is too much to keep. */
const SCRATCH_BYTES = 1024 * 1024;
const MUCH = 4;

/**
 * @param handOver told of each object
 * @param problem told of each failure (tried again), and of damage (given up: the next start puts the file into quarantine)
 */
export function createSealer(
  files: SpoolFiles,
  segmentFiles: SegmentFiles,
  handOver: (object: SealedObject) => void,
  problem: (error: unknown) => void,
): Sealer {
  const stopped = new AbortController();
  let work: Promise<void> = Promise.resolve();
  let waiting = 0;
  /** Kept from segment to segment: 16 MiB of new memory each time make the collector run several times a second. */
  let scratch = Buffer.alloc(0);

  /** In powers of two: segments differ by little, and each that were the largest so far would else take memory anew. */
  function scratchOf(bytes: number): Buffer {
    const size = Math.max(SCRATCH_BYTES, 2 ** Math.ceil(Math.log2(bytes)));
    // What is never touched of it costs nothing. After a burst it is let go.
    if (scratch.length < size || scratch.length > size * MUCH) scratch = Buffer.allocUnsafeSlow(size);
    return scratch;
  }

  /** @returns whether it was handed over */
  async function seal(place: SegmentPlace, bytes: number, fromMemory: boolean): Promise<boolean> {
    const { directory, stream, segment } = place;
    const path = segmentPath(directory, stream, segment, 'spool');
    const encoded = await untilDone(
      async () => {
        try {
          const lines = await readSegmentFile(files, place, bytes, scratchOf(bytes));
          const made = await encodeObject(lines, place);
          if (!fromMemory) await writeObject(made, files, segmentFiles);
          return made;
        } catch (error) {
          if (error instanceof SegmentDamage) return error;
          throw error;
        }
      },
      problem,
      stopped.signal,
    );
    if (encoded === null) return false;
    if (encoded instanceof SegmentDamage) {
      problem(encoded);
      return false;
    }
    if (fromMemory) {
      handOver({ ...encoded.object, path, inMemory: encoded.bytes });
      return true;
    }
    let first = true;
    const gone = await untilDone(
      async () => {
        const again = !first;
        first = false;
        await (again ? segmentFiles.discard(path) : segmentFiles.retire(path));
        return true;
      },
      problem,
      stopped.signal,
    );
    if (gone === true) handOver(encoded.object);
    return gone === true;
  }

  async function sealAfter(
    before: Promise<void>,
    place: SegmentPlace,
    bytes: number,
    fromMemory: boolean,
  ): Promise<void> {
    await before;
    if (await seal(place, bytes, fromMemory)) waiting -= 1;
  }

  return {
    take(place, bytes, fromMemory) {
      waiting += 1;
      work = sealAfter(work, place, bytes, fromMemory);
    },
    get waiting() {
      return waiting;
    },
    idle: () => work,
    stop: () => stopped.abort(),
  };
}
