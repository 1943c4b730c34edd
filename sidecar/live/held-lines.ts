/**
 * Owns reading lines of this process's stream back from the spool, as far as its files are still there.
 * Invariant: what is given is on disk: nothing at or above the mark that the caller names.
 */
import { scanFrames, stripFrames } from '../spool/frame.ts';
import type { SpoolFiles } from '../spool/files.ts';
import { decodeObject } from '../spool/object-file.ts';
import { parseSegmentName, segmentPath, streamPath } from '../spool/paths.ts';

export interface HeldLines {
  segment: number;
  /** `seq` of the first of them. */
  firstSeq: number;
  count: number;
  /** LF after each. */
  lines: Buffer;
}

const LF = 0x0a;
/** A file goes over into another while it is looked for: so often is looked again. */
const ATTEMPTS = 3;

type Kind = 'spool' | 'jsonl.zst';

/** Of one file. */
interface Loaded {
  segment: number;
  firstSeq: number;
  lines: Buffer;
}

/**
 * Lines from `from` on, or from the first after it that is held, up to the end of their segment and below `upTo`; null: none is held.
 * @param after the segment that was given before
 * @throws what the disk says
 */
export async function readHeldLines(
  files: SpoolFiles,
  directory: string,
  stream: string,
  { from, upTo, after }: { from: number; upTo: number; after: number | null },
): Promise<HeldLines | null> {
  for (let attempt = 1; ; attempt += 1) {
    const found = await look(files, directory, stream, { from, upTo, after });
    if (found !== 'changed') return found;
    if (attempt === ATTEMPTS) return null;
  }
}

async function look(
  files: SpoolFiles,
  directory: string,
  stream: string,
  { from, upTo, after }: { from: number; upTo: number; after: number | null },
): Promise<HeldLines | null | 'changed'> {
  const segments = new Map<number, Kind>();
  // All of it may be in the store, and the folder gone.
  const names = await files.list(streamPath(directory, stream)).catch(() => []);
  for (const name of names) {
    const parsed = parseSegmentName(name);
    // Both are there for a moment: the object is whole then.
    if (parsed?.kind === 'jsonl.zst') segments.set(parsed.segment, parsed.kind);
    else if (parsed?.kind === 'spool' && !segments.has(parsed.segment)) segments.set(parsed.segment, 'spool');
  }
  const numbers = [...segments.keys()].sort((a, b) => a - b);
  const load = async (at: number): Promise<Loaded | 'changed' | null> => {
    const segment = numbers[at];
    if (segment === undefined) return null;
    const lines = await linesOf(files, directory, stream, segment, segments.get(segment) as Kind);
    if (lines === null || lines === 'changed') return lines;
    return { segment, firstSeq: firstSeqOf(lines), lines };
  };
  let low = after === null ? -1 : numbers.indexOf(after + 1);
  if (low < 0) {
    // The last one that does not begin behind it; one without lines is behind all.
    low = 0;
    for (let high = numbers.length; high - low > 1; ) {
      const middle = (low + high) >> 1;
      const loaded = await load(middle);
      if (loaded === 'changed') return 'changed';
      if (loaded !== null && loaded.firstSeq <= from) low = middle;
      else high = middle;
    }
  }
  for (let at = low; at < numbers.length; at += 1) {
    const loaded = await load(at);
    if (loaded === 'changed') return 'changed';
    const held = loaded === null ? null : cut(loaded, from, upTo);
    if (held !== null) return held;
  }
  return null;
}

/** Null: nothing was written to it yet. */
async function linesOf(
  files: SpoolFiles,
  directory: string,
  stream: string,
  segment: number,
  kind: Kind,
): Promise<Buffer | null | 'changed'> {
  let bytes: Buffer;
  try {
    bytes = await files.read(segmentPath(directory, stream, segment, kind));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'changed';
    throw error;
  }
  if (kind === 'jsonl.zst') return (await decodeObject(bytes, { directory, stream, segment })).lines;
  const scan = scanFrames(bytes, stream, segment);
  return scan.state === 'read' && scan.batches.length > 0 ? stripFrames(bytes, scan.batches) : null;
}

function firstSeqOf(lines: Buffer): number {
  return (JSON.parse(lines.toString('utf8', 0, lines.indexOf(LF))) as { seq: number }).seq;
}

/** The part of a segment's lines that is wanted; null: none is. */
function cut({ segment, firstSeq, lines }: Loaded, from: number, upTo: number): HeldLines | null {
  let seq = firstSeq;
  let start = -1;
  let startSeq = 0;
  let at = 0;
  for (; at < lines.length && seq < upTo; seq += 1) {
    if (seq >= from && start < 0) {
      start = at;
      startSeq = seq;
    }
    at = lines.indexOf(LF, at) + 1;
  }
  if (start < 0 || start === at) return null;
  return { segment, firstSeq: startSeq, count: seq - startSeq, lines: lines.subarray(start, at) };
}
