/**
 * Owns what streams say of streams before them: in segment 0 a process names those that it found dead in its spool.
 * Invariant: a naming counts only when the segment that carries it is right by itself.
 */
import type { FindingCode } from './finding.ts';
import { parsePublicKey } from './note.ts';
import { checkSeal } from './seal.ts';
import type { StreamSegments } from './stream-segments.ts';
import type { CheckedSegment } from './verify-segment.ts';

/** One stream's word about a segment of another. */
export interface Naming {
  /** The stream that says so. */
  by: string;
  stream: string;
  segment: number;
  /** Base64; null: it could not be read. */
  root: string | null;
}

export interface Namings {
  /** Every stream that another one names. */
  streams(): Iterable<string>;
  /** What is said of a stream. */
  of(stream: string): readonly Naming[];
  /**
   * Checks a recovered seal against the word and the key of the stream that made it. Null when it is right, or when that
   * stream's first segment is not in the store yet: then nothing can be said.
   */
  checkRecoveredSeal(
    seal: NonNullable<CheckedSegment['sealToCheck']>,
  ): { code: FindingCode; message: string } | null;
  /**
   * Whether the process of this stream, or one that took over after it, has ended in order: nothing that it found
   * in its spool is still on its way to the store.
   */
  isSettled(stream: string): boolean;
}

interface Segments {
  segments: Pick<StreamSegments, 'first' | 'isClosed'>;
}

export function collectNamings(streams: ReadonlyMap<string, Segments>): Namings {
  const byStream = new Map<string, Naming[]>();
  for (const [by, { segments }] of streams) {
    const first = segments.first();
    if (first === null || !first.clean) continue;
    for (const { stream, segment, root } of first.opened?.previousStreams ?? []) {
      // Nobody can recover itself, or explain its own end in this way.
      if (stream === by) continue;
      const list = byStream.get(stream) ?? [];
      list.push({ by, stream, segment, root });
      byStream.set(stream, list);
    }
  }
  const of = (stream: string): readonly Naming[] => byStream.get(stream) ?? [];
  const isSettled = (stream: string): boolean => {
    const seen = new Set<string>();
    const waiting = [stream];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (seen.has(next)) continue;
      seen.add(next);
      if (streams.get(next)?.segments.isClosed() === true) return true;
      for (const { by } of of(next)) waiting.push(by);
    }
    return false;
  };
  return {
    streams: () => byStream.keys(),
    of,
    checkRecoveredSeal({ recoveredBy, line, claim }) {
      const { stream, segment, root } = claim;
      const opened = streams.get(recoveredBy)?.segments.first()?.opened;
      if (opened === undefined || opened === null) {
        // It may be on its way as long as a process lives that could have it in its spool.
        if (!of(stream).some(({ by }) => isSettled(by))) return null;
        return {
          code: 'recovery',
          message: `its seal is by stream ${recoveredBy}, of which the store has no segment 0`,
        };
      }
      const named = of(stream).some((n) => n.by === recoveredBy && n.segment === segment && n.root === root);
      if (!named) {
        return {
          code: 'recovery',
          message: `its seal says that stream ${recoveredBy} recovered it, which does not name it with this root`,
        };
      }
      const publicKey = parsePublicKey(opened.publicKey);
      const wrong = publicKey === null ? 'that stream has no usable key' : checkSeal(line, claim, publicKey);
      return wrong === null
        ? null
        : { code: 'signature', message: `its recovered seal does not hold: ${wrong}` };
    },
    isSettled,
  };
}
