/**
 * Owns the watermark `acked`: how far the object store has confirmed this process's stream without a hole.
 */
import type { SealedObject } from './spool.ts';

export interface Acks {
  confirmed(object: SealedObject): void;
  /** Every line with `seq` below this is confirmed. */
  readonly upTo: number;
}

export function createAcks(): Acks {
  let nextSegment = 0;
  let upTo = 0;
  /** Confirmed ahead of an older segment: where each ends. */
  const ahead = new Map<number, number>();
  return {
    confirmed(object) {
      ahead.set(object.segment, object.firstSeq + object.lines);
      for (let end = ahead.get(nextSegment); end !== undefined; end = ahead.get(nextSegment)) {
        ahead.delete(nextSegment);
        nextSegment += 1;
        upTo = end;
      }
    },
    get upTo() {
      return upTo;
    },
  };
}
