/**
 * Owns the sealed objects that the spool holds, of this process's stream and of earlier ones, until the store has confirmed them.
 * Invariants:
 * - an object's file is removed only after it was confirmed;
 * - the newest segment of a stream that has not ended stays, confirmed or not, until a newer one is on disk: the next start must find
 *   where a dead stream ended, to name it;
 * - of a stream that has ended (or was named) the last segment is removed last, so that no crash makes an older one look like the end.
 */
import type { SpoolFiles } from './files.ts';
import { streamPath } from './paths.ts';
import type { SegmentFiles } from './segment-files.ts';
import type { SealedObject } from './spool.ts';
import type { Space } from './space.ts';

interface Folder {
  objects: Map<number, SealedObject>;
  /** Segments of `objects` that the store has. */
  confirmed: Set<number>;
  /** The highest segment that is on disk in a readable form. */
  head: number;
  /** The stream has ended, or an `open` line on disk names where it did: nothing needs to be found here any more. */
  settled: boolean;
}

export interface Holdings {
  /** Begins to hold an object, whose file counts from now on. */
  add(object: SealedObject): void;
  /** The stream has a segment with this number on disk. */
  reached(stream: string, segment: number): void;
  /** The stream's folder may go once all of its objects are confirmed. */
  settle(stream: string): void;
  confirm(object: SealedObject): void;
  /** Objects that are not confirmed yet. */
  readonly waiting: number;
  /** Resolves when everything that is held is confirmed. */
  allConfirmed(): Promise<void>;
  /** Resolves when what may be removed is, as far as the disk lets it. */
  swept(): Promise<void>;
  /** No file is touched any more. */
  close(): void;
}

/** @param freed called when space was freed */
export function createHoldings(
  directory: string,
  files: SpoolFiles,
  space: Space,
  segmentFiles: Pick<SegmentFiles, 'retire' | 'discard'>,
  freed: () => void,
): Holdings {
  const folders = new Map<string, Folder>();
  let waiting = 0;
  let closed = false;
  const told: (() => void)[] = [];
  let sweeping: Promise<void> = Promise.resolve();
  /** Segment files whose retirement was begun: when that failed nobody knows how far it came, and they are removed. */
  const retired = new Set<string>();

  function folderOf(stream: string): Folder {
    let folder = folders.get(stream);
    if (folder === undefined) {
      folder = { objects: new Map(), confirmed: new Set(), head: -1, settled: false };
      folders.set(stream, folder);
    }
    return folder;
  }

  async function removeObject(folder: Folder, segment: number): Promise<void> {
    const { path, inMemory } = folder.objects.get(segment) as SealedObject;
    if (inMemory === null) {
      await files.remove(path);
      space.delete(path);
    } else if (retired.has(path)) {
      await segmentFiles.discard(path);
    } else {
      retired.add(path);
      await segmentFiles.retire(path);
    }
    retired.delete(path);
    folder.objects.delete(segment);
    folder.confirmed.delete(segment);
  }

  async function sweepFolder(stream: string, folder: Folder): Promise<void> {
    const newest = folder.head;
    for (const segment of folder.confirmed) {
      if (closed) return;
      if (segment < newest) await removeObject(folder, segment);
    }
    const left = folder.objects.size - folder.confirmed.size;
    if (!folder.settled || left > 0 || folder.objects.size > 1 || closed) return;
    const path = streamPath(directory, stream);
    for (const segment of folder.confirmed) {
      // The removals before are on disk before the end of the stream is removed.
      await files.syncDirectory(path);
      await removeObject(folder, segment);
    }
    await files.removeDirectory(path);
    folders.delete(stream);
  }

  async function sweepAfter(before: Promise<void>, stream: string): Promise<void> {
    await before;
    const folder = folders.get(stream);
    // What can't be removed now stays counted, and is tried again with the next confirmation or at the next start.
    if (folder !== undefined && !closed) await sweepFolder(stream, folder).catch(() => {});
    freed();
  }
  function sweep(stream: string): void {
    sweeping = sweepAfter(sweeping, stream);
  }

  return {
    add(object) {
      const folder = folderOf(object.stream);
      folder.objects.set(object.segment, object);
      folder.head = Math.max(folder.head, object.segment);
      // A segment file is counted as such.
      if (object.inMemory === null) space.set(object.path, object.size);
      waiting += 1;
    },
    reached(stream, segment) {
      const folder = folderOf(stream);
      folder.head = Math.max(folder.head, segment);
      sweep(stream);
    },
    settle(stream) {
      folderOf(stream).settled = true;
      sweep(stream);
    },
    confirm(object) {
      const folder = folders.get(object.stream);
      if (folder?.objects.has(object.segment) !== true || folder.confirmed.has(object.segment)) return;
      folder.confirmed.add(object.segment);
      waiting -= 1;
      sweep(object.stream);
      if (waiting === 0) for (const tell of told.splice(0)) tell();
    },
    get waiting() {
      return waiting;
    },
    allConfirmed: () =>
      new Promise((resolve) => {
        if (waiting === 0) resolve();
        else told.push(resolve);
      }),
    swept: () => sweeping,
    close() {
      closed = true;
    },
  };
}
