/**
 * Owns what becomes of a segment whose file failed: what was synced before is sealed as `sync_failed` and uploaded.
 * Invariant: the failed file is only read, and is gone for good before its object is handed over or the next segment begins: what it may
 * hold of the failed batch never counts.
 */
import type { KeyObject } from 'node:crypto';
import type { SpoolFiles } from './files.ts';
import { encodeObject, readSegmentFile, sealLines } from './object-file.ts';
import { segmentPath } from './paths.ts';
import { writeObject } from './sealer.ts';
import type { SegmentFiles } from './segment-files.ts';
import { readFacts } from './segment-lines.ts';
import type { SealedObject } from './spool.ts';

/** @returns for segment, bytes that were synced, and time of the seal: the root in the seal. May be called again after a failure. */
export function createSalvage(
  directory: string,
  stream: string,
  files: SpoolFiles,
  segmentFiles: SegmentFiles,
  privateKey: KeyObject,
  handOver: (object: SealedObject) => void,
): (segment: number, bytes: number, now: string) => Promise<Buffer> {
  let saved: { object: SealedObject; root: Buffer } | null = null;
  return async (segment, bytes, now) => {
    if (saved?.object.segment !== segment) {
      const place = { directory, stream, segment };
      const reason = { how: 'sync_failed', last: false, recoveredBy: null } as const;
      const lines = sealLines(await readSegmentFile(files, place, bytes), place, reason, now, privateKey);
      const made = await encodeObject(lines, place);
      await writeObject(made, files, segmentFiles);
      const root = readFacts(lines, stream, segment).seal?.root ?? '';
      saved = { object: made.object, root: Buffer.from(root, 'base64') };
    }
    await segmentFiles.discard(segmentPath(directory, stream, segment, 'spool'));
    handOver(saved.object);
    return saved.root;
  };
}
