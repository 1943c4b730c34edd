/**
 * Owns the lines of this process's stream: `seq` and time of each, the hash tree of the open segment, its `open` and its `seal`.
 * Invariant: `seq` has no hole, and times never decrease except directly after the `config` line that states a step of the clock.
 */
import type { KeyObject } from 'node:crypto';
import { encodeHead, encodeTail } from '@mcp-recorder/recording/format/encode';
import type { OpenLine, PreviousStream, SealHow } from '@mcp-recorder/recording/format/line';
import type { Clock } from '@mcp-recorder/recording/format/time';
import { createTree, type Tree } from '@mcp-recorder/recording/proof/merkle';
import { createSealedLine } from '@mcp-recorder/recording/proof/seal';
import type { Batch } from './batch.ts';
import type { LineTail } from './spool.ts';

/** What an `open` line says that is the same in every segment of the stream, but for `config`: the digest at the start. */
export type OpenFields = Omit<OpenLine['open'], 'segment' | 'previous_root' | 'previous_streams'>;

export interface LineWriter {
  /** The `seq` of the next line. */
  readonly nextSeq: number;
  /** Begins a segment with its `open` line. */
  open(segment: number, previousStreams: PreviousStream[]): void;
  line(tail: LineTail): void;
  /** The last line stated a change of the configuration: segments are opened with this digest from here on. */
  configured(digest: string): void;
  /** Ends the segment that is open. */
  seal(how: SealHow, last: boolean): void;
  /** Forgets the open segment and every line from `seq` on: they never reached the disk. */
  rewind(seq: number): void;
  /** Goes on behind a seal that was made elsewhere, with this root. */
  continueAfter(root: Buffer): void;
  /** A time for a seal that is made elsewhere, not after any line that follows it. */
  sealTime(): string;
}

export function createLineWriter(
  stream: string,
  batch: Batch,
  clock: Clock,
  openFields: OpenFields,
  privateKey: KeyObject,
): LineWriter {
  const head = encodeHead(stream);
  let nextSeq = 0;
  let tree: Tree = createTree();
  let segment = 0;
  let firstSeq = 0;
  let previousRoot: Buffer | null = null;
  let rootBefore: Buffer | null = null;
  /** The clock was set and no line has said so yet: the time before the step. */
  let unstatedStep: string | null = null;
  /** `seq` and time of the last line that stated a step. */
  let stated: { seq: number; from: string } | null = null;
  let config = openFields.config;
  /** `seq` of each line that changed it, and the digest before. */
  const changes: { seq: number; before: string }[] = [];

  function add(time: string, tail: LineTail): void {
    tree.append(batch.add(head(nextSeq, time), tail));
    nextSeq += 1;
  }

  /** Time for the next line; a step of the clock gets its line first. */
  function nextTime(): string {
    const { time, steppedFrom } = clock.next();
    unstatedStep ??= steppedFrom;
    if (unstatedStep === null) return time;
    stated = { seq: nextSeq, from: unstatedStep };
    const config = { kind: 'clock', before: unstatedStep, after: time, signed_by: null } as const;
    add(unstatedStep, encodeTail({ type: 'config', config }));
    unstatedStep = null;
    return time;
  }

  /** Time for a line before which no other may stand. */
  function timeWithoutStatement(): string {
    const { time, steppedFrom } = clock.next();
    unstatedStep ??= steppedFrom;
    return unstatedStep ?? time;
  }

  return {
    get nextSeq() {
      return nextSeq;
    },
    open(number, previousStreams) {
      tree = createTree();
      segment = number;
      firstSeq = nextSeq;
      rootBefore = previousRoot;
      const open = {
        segment,
        previous_root: previousRoot === null ? null : previousRoot.toString('base64'),
        previous_streams: previousStreams,
        ...openFields,
        config,
      };
      add(timeWithoutStatement(), encodeTail({ type: 'open', open }));
    },
    line(tail) {
      add(nextTime(), tail);
    },
    configured(digest) {
      changes.push({ seq: nextSeq - 1, before: config });
      config = digest;
    },
    seal(how, last) {
      const time = nextTime();
      const root = tree.root();
      const facts = { stream, seq: nextSeq, time, segment, firstSeq, entries: tree.size, root, previousRoot };
      batch.add(createSealedLine({ ...facts, last, how, recoveredBy: null, privateKey }), '');
      nextSeq += 1;
      previousRoot = root;
    },
    rewind(seq) {
      nextSeq = seq;
      previousRoot = rootBefore;
      for (let last = changes.at(-1); last !== undefined && last.seq >= seq; last = changes.at(-1)) {
        config = last.before;
        changes.pop();
      }
      if (stated !== null && stated.seq >= seq) unstatedStep ??= stated.from;
    },
    continueAfter(root) {
      previousRoot = root;
      nextSeq += 1;
    },
    sealTime: timeWithoutStatement,
  };
}
