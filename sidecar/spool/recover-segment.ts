/**
 * Owns what becomes of one segment that a dead process left behind.
 * Invariants:
 * - lines are only ever cut behind the last batch that could have been confirmed; a file that lost more than that goes into quarantine;
 * - a segment that was left open gets a seal of ours and nothing else, so that its root is the same whoever recovers it, and however often;
 * - until an `open` line names that seal, the object is a `.resealed` file that nobody uploads.
 */
import type { KeyObject } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '@mcp-recorder/recording/format/time';
import type { SpoolFiles } from './files.ts';
import { hasLaterFrame, scanFrames, stripFrames } from './frame.ts';
import { decodeObject, encodeObject, type SegmentPlace, sealLines } from './object-file.ts';
import { type SegmentFileKind, segmentPath } from './paths.ts';
import { backoffMs } from './retry.ts';
import { writeObject } from './sealer.ts';
import type { SegmentFiles } from './segment-files.ts';
import { readFacts, SegmentDamage, withoutLastLine } from './segment-lines.ts';
import type { SealedObject } from './spool.ts';

export type RecoveredSegment =
  /** Nothing was ever on disk; the file is gone. */
  | { outcome: 'empty' }
  /** An object under its own seal. */
  | { outcome: 'sealed'; object: SealedObject; root: string; last: boolean }
  /** An object under our seal, not yet to be uploaded. `damagedBehind`: lines behind those were lost; the file tells which. */
  | { outcome: 'resealed'; object: SealedObject; root: string; damagedBehind: boolean }
  /** Can't be used. */
  | { outcome: 'unreadable'; why: string };

export interface RecoveryParts {
  directory: string;
  /** The stream of this process. */
  ownStream: string;
  privateKey: KeyObject;
  files: SpoolFiles;
  segmentFiles: SegmentFiles;
  clock: Clock;
}

/** A disk may fail once and not again; a file that can't be read so often is damaged. */
const READ_TRIES = 5;

async function readPatiently(files: SpoolFiles, path: string): Promise<Buffer> {
  for (let failures = 1; ; failures += 1) {
    try {
      return await files.read(path);
    } catch (error) {
      if (failures === READ_TRIES)
        throw new SegmentDamage(`${path} can't be read: ${error}`, { cause: error });
      await pause(backoffMs(failures));
    }
  }
}

/** Runs `read`; damage is null. */
async function unlessDamaged<T>(read: () => Promise<T>): Promise<T | null> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof SegmentDamage) return null;
    throw error;
  }
}

/** What a segment file holds: lines (perhaps none), and whether batches behind them were lost. */
async function readLeftOpen(
  files: SpoolFiles,
  place: SegmentPlace,
): Promise<{ lines: Buffer; damagedBehind: boolean }> {
  const path = segmentPath(place.directory, place.stream, place.segment, 'spool');
  const bytes = await readPatiently(files, path);
  const scan = scanFrames(bytes, place.stream, place.segment);
  if (scan.state === 'empty') return { lines: Buffer.alloc(0), damagedBehind: false };
  if (scan.state === 'damaged') throw new SegmentDamage(`the header of ${path} is damaged`);
  const damagedBehind = hasLaterFrame(bytes, scan);
  if (damagedBehind && scan.batches.length === 0) throw new SegmentDamage(`the start of ${path} is damaged`);
  return { lines: stripFrames(bytes, scan.batches), damagedBehind };
}

/**
 * Brings one segment of a dead stream into the form that is uploaded.
 * @param kinds the files that there are of it
 * @param isEnd no later segment could be read: only there a segment may have been left open
 * @throws what the disk says; may be called again
 */
export async function recoverSegment(
  place: SegmentPlace,
  kinds: ReadonlySet<SegmentFileKind>,
  isEnd: boolean,
  parts: RecoveryParts,
): Promise<RecoveredSegment> {
  const { files, segmentFiles } = parts;
  const pathOf = (kind: SegmentFileKind) => segmentPath(place.directory, place.stream, place.segment, kind);
  const read = async (kind: 'jsonl.zst' | 'resealed') =>
    kinds.has(kind)
      ? await unlessDamaged(async () => await decodeObject(await readPatiently(files, pathOf(kind)), place))
      : null;

  const whole = await read('jsonl.zst');
  if (whole !== null) {
    const { seal } = readFacts(whole.lines, place.stream, place.segment);
    for (const kind of kinds) if (kind !== 'jsonl.zst') await segmentFiles.discard(pathOf(kind));
    return { outcome: 'sealed', object: whole.object, root: seal?.root ?? '', last: seal?.last ?? false };
  }
  const resealed = await read('resealed');
  if (resealed === null && !kinds.has('spool'))
    return { outcome: 'unreadable', why: 'its object is damaged' };

  try {
    const raw = kinds.has('spool') ? await unlessDamaged(() => readLeftOpen(files, place)) : null;
    if (raw === null && resealed === null)
      return { outcome: 'unreadable', why: 'header or start of its file are damaged' };
    // The lines of a `.resealed` file may have been named already, and are on disk; those of the raw file may not be.
    const lines = resealed === null ? (raw?.lines as Buffer) : withoutLastLine(resealed.lines);
    const damagedBehind = raw?.damagedBehind === true;
    if (lines.length === 0) {
      for (const kind of kinds) await segmentFiles.discard(pathOf(kind));
      return { outcome: 'empty' };
    }
    const { seal } = readFacts(lines, place.stream, place.segment);
    if (seal !== null) {
      const made = await encodeObject(lines, place);
      await writeObject(made, files, segmentFiles);
      await segmentFiles.discard(pathOf('spool'));
      return { outcome: 'sealed', object: made.object, root: seal.root, last: seal.last };
    }
    if (!isEnd) return { outcome: 'unreadable', why: 'its end was lost' };
    const reason = { how: 'recovered', last: false, recoveredBy: parts.ownStream } as const;
    const added = sealLines(lines, place, reason, parts.clock.next().time, parts.privateKey);
    const made = await encodeObject(added, place);
    await writeObject({ ...made, object: { ...made.object, path: pathOf('resealed') } }, files, segmentFiles);
    const root = readFacts(added, place.stream, place.segment).seal?.root ?? '';
    return { outcome: 'resealed', object: made.object, root, damagedBehind };
  } catch (error) {
    if (error instanceof SegmentDamage) return { outcome: 'unreadable', why: error.message };
    throw error;
  }
}
