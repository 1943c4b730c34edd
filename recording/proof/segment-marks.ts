/**
 * Owns what is remembered of each segment of a run after it was checked, in few bytes: its root and what tells its lines from others.
 * Invariant: 48 bytes a segment, in one buffer.
 */
import type { CheckedSegment } from './verify-segment.ts';

export interface Marks {
  append(segment: CheckedSegment): void;
  appendAll(marks: Marks): void;
  /** Base64 of the sealed root of the segment at this place; null when it has no seal. */
  rootAt(index: number): string | null;
  /** Whether the segment at this place has the same bytes. */
  isOf(index: number, segment: CheckedSegment): boolean;
  bytes(): Buffer;
}

const ROOT_BYTES = 32;
/** Of SHA-256: nobody finds another segment with the same ones. */
const DIGEST_BYTES = 16;
const MARK_BYTES = ROOT_BYTES + DIGEST_BYTES;
const NO_ROOT = Buffer.alloc(ROOT_BYTES);

export function createMarks(): Marks {
  let held = Buffer.alloc(MARK_BYTES);
  let length = 0;

  function reserve(bytes: number): void {
    if (length + bytes <= held.length) return;
    const larger = Buffer.alloc(Math.max(length + bytes, held.length * 2));
    held.copy(larger, 0, 0, length);
    held = larger;
  }

  return {
    append({ sealed, digest }) {
      reserve(MARK_BYTES);
      held.fill(0, length, length + MARK_BYTES);
      if (sealed !== null) Buffer.from(sealed.root, 'base64').copy(held, length, 0, ROOT_BYTES);
      held.write(digest.slice(0, 2 * DIGEST_BYTES), length + ROOT_BYTES, 'hex');
      length += MARK_BYTES;
    },
    appendAll(marks) {
      const bytes = marks.bytes();
      reserve(bytes.length);
      bytes.copy(held, length);
      length += bytes.length;
    },
    rootAt(index) {
      const root = held.subarray(index * MARK_BYTES, index * MARK_BYTES + ROOT_BYTES);
      return root.equals(NO_ROOT) ? null : root.toString('base64');
    },
    isOf(index, { digest }) {
      const at = index * MARK_BYTES + ROOT_BYTES;
      return held.toString('hex', at, at + DIGEST_BYTES) === digest.slice(0, 2 * DIGEST_BYTES);
    },
    bytes: () => held.subarray(0, length),
  };
}
