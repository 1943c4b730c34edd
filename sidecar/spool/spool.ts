/**
 * Owns the contract between the recorder and its spool: the local, durable queue of recorded lines.
 * Invariant: `durable(null)` is called only after every line of that append, and all lines before it, are on disk; with commit mode
 * `ObjectStorage`, only after the object store has confirmed them too, unless the policy says `pass` or the append is a closing one.
 */
import type { SealHow } from '@mcp-recorder/recording/format/line';

/** A line encoded except for its head: JSON text from `,"type":` to the closing brace, without line feed. */
export type LineTail = string;

/** Why lines could not be made durable. The recorder's answer is to cut what waited for them. */
export class SpoolError extends Error {
  readonly code: 'closed' | 'full' | 'sync_failed' | 'not_stored' | 'drained';
  readonly hint: string;
  /**
   * So many lines from the start of the append are part of the recording all the same (an append may span batches);
   * the others never will be: who numbers parts goes on from here.
   */
  readonly durableLines: number;

  constructor(code: SpoolError['code'], message: string, hint: string, cause?: unknown, durableLines = 0) {
    super(message, { cause });
    this.name = 'SpoolError';
    this.code = code;
    this.hint = hint;
    this.durableLines = durableLines;
  }
}

/** Called once, never within `append`, and in the order of the appends (those that are kept while the spool can't be written come last). */
export type Durable = (error: SpoolError | null) => void;

export interface AppendOptions {
  /** Closes something that began before (`end`, `result`, `gap`, `denied`): may use the reserve that is kept for it. */
  closing?: boolean;
  /** The last line states that this configuration is in force now: later segments are opened with its digest. */
  digest?: string | null;
}

/** Why the spool takes nothing. */
export interface Obstacle {
  reason: 'spool_full' | 'spool_failed' | 'spool_stalled' | 'spool_damaged';
  message: string;
}

/** What becomes of those who wait for the store: they wait, are let go with what the disk has, or are refused. */
export type AckPolicy = { kind: 'wait' } | { kind: 'pass' } | { kind: 'refuse'; message: string };

/** Positions in this process's stream. */
export interface Watermarks {
  /** Lines given a `seq` so far. */
  appended: number;
  /** Every line with `seq` below this is on disk. */
  synced: number;
  /** Every line with `seq` below this is confirmed by the object store. */
  acked: number;
}

/** A segment that is sealed, on disk and compressed, on its way to the object store. */
export interface SealedObject {
  stream: string;
  segment: number;
  firstSeq: number;
  /** Lines, seal included. */
  lines: number;
  how: SealHow;
  key: string;
  /** Path of what holds it in the spool: the object's file, or with `inMemory` the segment file that it was made from. */
  path: string;
  /** The object's bytes, of a segment that was cut for the store: it is there before a file of them would be on disk. Null: in the file. */
  inMemory: Buffer | null;
  /** Bytes of the object. */
  size: number;
  /** Hex SHA-256 of the object. */
  sha256: string;
}

export interface SpoolStatus {
  stream: string;
  watermarks: Watermarks;
  /** Bytes of spool files on disk, spares included. */
  bytes: number;
  /** Bytes the spool may use. */
  sizeLimit: number;
  sealedWaiting: number;
  quarantined: number;
  /** How long ago the oldest line that the store has not confirmed came to the disk (ms); 0 when there is none. */
  lagMs: number;
  /** How long what was appended has waited for the disk so far, for a sync or for a file (ms); 0 when nothing waits. */
  diskWaitMs: number;
  /** What keeps a sealed segment from becoming an object, since the last attempt failed. */
  stuck: Obstacle | null;
  /** What failed last, with no end: for people who look for a cause. */
  lastProblem: string | null;
}

export interface Spool {
  readonly stream: string;
  /** Queues the lines, in order; they may share a disk sync with those of others. Never throws. */
  append(lines: readonly LineTail[], durable: Durable, options?: AppendOptions): void;
  status(): SpoolStatus;
  /** With commit mode `ObjectStorage`: what becomes of appends that wait for the store. Begins as `wait`. */
  setAckPolicy(policy: AckPolicy): void;
  /**
   * Ends the stream: what was appended is made durable, the last segment is sealed as last, everything is handed to upload.
   * Resolves when all is confirmed by the store, or, with what is left in the spool, when `enough` is aborted.
   */
  drain(enough: AbortSignal): Promise<{ uploaded: boolean; left: number }>;
}
