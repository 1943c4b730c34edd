/**
 * Owns the place where a reader of the live recording can see each batch that came to the disk.
 * Invariants: what is seen here is durable; with nobody there a batch costs one comparison; a reader that fails does not reach the writer.
 */

/** Sees lines (LF after each) once they are on disk. The bytes are good until it returns. @param firstSeq `seq` of the first of them */
export type SeesLines = (lines: Buffer, firstSeq: number) => void;

export interface LiveTap {
  /** Null: nobody looks. Must not throw. */
  reader: SeesLines | null;
}
