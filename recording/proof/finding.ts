/**
 * Owns the names of what verification can find wrong.
 * Invariant: a finding says where (stream, segment, line) as exactly as it can be known, in words and in columns.
 */

export type FindingCode =
  /** The object is not one whole zstd frame, or could not be read. */
  | 'damaged'
  /** The bytes are not JSON lines in UTF-8, each ended by a line feed. */
  | 'not_lines'
  /** A line lacks the columns that every line has, or belongs to another stream. */
  | 'head'
  /** A hole, a repetition or a swap in `seq`. */
  | 'sequence'
  /** `time` decreases where no `config` line of kind `clock` allows it. */
  | 'time'
  /** The `open` line is missing, misplaced, malformed or contradicts the segment before. */
  | 'open'
  /** The `seal` line is missing, misplaced, malformed or contradicts the lines. */
  | 'seal'
  /** The object's key says something else than its lines. */
  | 'key'
  /** The lines do not hash to the sealed root. */
  | 'root'
  /** The checkpoint is not signed by the key that it must be signed by. */
  | 'signature'
  /** Parts of an exchange are missing, repeated or out of order. */
  | 'exchange'
  /** Two objects claim to be the same segment and differ. */
  | 'copies_differ'
  /** Another version was put over a segment's object; what is judged is the first one. */
  | 'overwritten'
  /** A segment's object was deleted; what is judged is what its store kept of it, if anything. */
  | 'deleted'
  /** A segment that must be there is not. */
  | 'missing_segment'
  /** A segment after the one that was sealed as last, or after the one that a recovery named as the end. */
  | 'after_end'
  /** What another stream says of this one does not fit. */
  | 'recovery'
  /** An object below the segments' prefix that is no segment. */
  | 'foreign_object'
  /** The stream is not closed, and the caller expected it to be. */
  | 'not_closed';

export interface Finding {
  code: FindingCode;
  stream: string | null;
  segment: number | null;
  /** Index of the line within its segment, from 0; null when it concerns the segment as a whole. */
  line: number | null;
  /** A whole sentence for the person who must act on it. */
  message: string;
}
