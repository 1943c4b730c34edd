/**
 * Owns what becomes of the streams that earlier processes left in the spool.
 * Three steps, each safe to die in:
 * 1. `recoverStream`: every segment that can be read becomes a whole object on disk; a segment that was left open as `.resealed`.
 * 2. The caller writes its own `open` line, which names those streams and how far they go, and syncs it.
 * 3. `settleFiles`: only now the `.resealed` get their final names and are uploaded, and what can't be read goes into quarantine.
 * Invariant: nothing that a later start would need to say the same again is removed before the `open` line is on disk.
 */
import { dirname } from 'node:path';
import type { PreviousStream } from '@mcp-recorder/recording/format/line';
import type { SpoolFiles } from './files.ts';
import {
  isTemporaryName,
  parseSegmentName,
  quarantinedPath,
  type SegmentFileKind,
  segmentPath,
  streamPath,
} from './paths.ts';
import { type RecoveredSegment, type RecoveryParts, recoverSegment } from './recover-segment.ts';
import type { SegmentFiles } from './segment-files.ts';
import type { SealedObject } from './spool.ts';
import type { Space } from './space.ts';

/** A move that waits for the `open` line. */
interface Move {
  from: string;
  to: string;
}

export interface RecoveredStream {
  stream: string;
  /** What our `open` line must say of it; none when it ended by itself and is whole. */
  names: PreviousStream[];
  /** May be uploaded at once. */
  ready: SealedObject[];
  /** To be uploaded when it is settled. */
  resealed: SealedObject | null;
  /** Highest segment that could be read, or -1. */
  head: number;
  quarantined: number;
  /** Why it is left for the next start, or null. */
  failure: unknown;
  moves: Move[];
  /** Files to remove after the moves. */
  leftOvers: string[];
}

async function segmentsIn(folder: string, files: SpoolFiles, space: Space) {
  const segments = new Map<number, Set<SegmentFileKind>>();
  for (const name of await files.list(folder)) {
    const path = `${folder}/${name}`;
    if (isTemporaryName(name)) await files.remove(path);
    const parsed = parseSegmentName(name);
    if (parsed === null) continue;
    space.set(path, await files.size(path));
    const kinds = segments.get(parsed.segment) ?? new Set();
    segments.set(parsed.segment, kinds.add(parsed.kind));
  }
  return segments;
}

/** Step 1 for one stream; never throws: what the disk refuses now is left for the next start. */
export async function recoverStream(
  stream: string,
  parts: RecoveryParts,
  space: Space,
): Promise<RecoveredStream> {
  const { directory, files } = parts;
  const recovered: RecoveredStream = {
    stream,
    names: [],
    ready: [],
    resealed: null,
    head: -1,
    quarantined: 0,
    failure: null,
    moves: [],
    leftOvers: [],
  };
  const lost = new Set<number>();
  try {
    const segments = await segmentsIn(streamPath(directory, stream), files, space);
    for (const [segment, kinds] of [...segments].sort(([a], [b]) => b - a)) {
      const isEnd = recovered.head < 0;
      const outcome = await recoverSegment({ directory, stream, segment }, kinds, isEnd, parts);
      note(recovered, outcome, segment, kinds, directory, lost);
    }
  } catch (error) {
    recovered.failure = error;
  }
  for (const segment of lost) recovered.names.push({ stream, segment, root: null, how: 'quarantined' });
  recovered.ready.reverse();
  return recovered;
}

function note(
  recovered: RecoveredStream,
  outcome: RecoveredSegment,
  segment: number,
  kinds: ReadonlySet<SegmentFileKind>,
  directory: string,
  lost: Set<number>,
): void {
  const { stream } = recovered;
  const pathOf = (kind: SegmentFileKind) => segmentPath(directory, stream, segment, kind);
  const quarantine = (kind: SegmentFileKind) => {
    const from = pathOf(kind);
    const name = from.slice(dirname(from).length + 1);
    recovered.moves.push({ from, to: quarantinedPath(directory, stream, name) });
    recovered.quarantined += 1;
  };
  if (outcome.outcome === 'empty') return;
  if (outcome.outcome === 'unreadable') {
    lost.add(segment);
    for (const kind of kinds) quarantine(kind);
    return;
  }
  if (recovered.head < 0) {
    recovered.head = segment;
    const ended = outcome.outcome === 'sealed' && outcome.last;
    if (!ended) recovered.names.push({ stream, segment, root: outcome.root, how: 'recovered' });
  }
  if (outcome.outcome === 'sealed') {
    recovered.ready.push(outcome.object);
    return;
  }
  recovered.resealed = outcome.object;
  recovered.moves.push({ from: pathOf('resealed'), to: outcome.object.path });
  // Says that what followed those lines could not be read.
  if (outcome.damagedBehind) lost.add(segment + 1);
  if (outcome.damagedBehind) quarantine('spool');
  else recovered.leftOvers.push(pathOf('spool'));
}

async function moveOnce({ from, to }: Move, files: SpoolFiles): Promise<void> {
  await files.makeDirectory(dirname(to));
  try {
    await files.rename(from, to);
  } catch (error) {
    const absent = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (!absent) throw error;
    // Moved by an attempt that failed later.
    await files.size(to);
    await files.syncDirectory(dirname(to));
    await files.syncDirectory(dirname(from));
  }
}

/** Step 3 for one stream, once the `open` line is on disk. May be called again after a failure. */
export async function settleFiles(
  recovered: RecoveredStream,
  segmentFiles: SegmentFiles,
  space: Space,
  files: SpoolFiles,
): Promise<void> {
  for (const move of recovered.moves) {
    await moveOnce(move, files);
    space.set(move.to, await files.size(move.to));
    space.delete(move.from);
  }
  for (const path of recovered.leftOvers) await segmentFiles.discard(path);
}
