/**
 * Owns the seal line of a segment and its checkpoint: how they are made, and how they are checked.
 * Invariant: the signature covers every byte of the seal line. The checkpoint carries the SHA-256 of the line with an
 * empty checkpoint, taken from the line's bytes; nothing is ever serialised again to check it.
 */
import { hash, type KeyObject } from 'node:crypto';
import { encodeHead, encodeTail } from '../format/encode.ts';
import type { SealHow } from '../format/line.ts';
import { openNote, signNote } from './note.ts';

const ORIGIN = 'mcp-recorder.dev';
const CHECKPOINT = ',"checkpoint":"';
const LINE_END = '"}}';

export interface SealFacts {
  stream: string;
  /** Of the seal line itself. */
  seq: number;
  time: string;
  segment: number;
  firstSeq: number;
  /** Lines before the seal. */
  entries: number;
  /** RFC 6962 root over those lines. */
  root: Buffer;
  /** Root of the segment before; null in segment 0. */
  previousRoot: Buffer | null;
  /** Whether the stream ends here. */
  last: boolean;
  how: SealHow;
  /** The stream whose process sealed this one; its key signs. */
  recoveredBy: string | null;
}

/** The origin of a segment's checkpoint, which is also the name of the key that signs it. */
function checkpointOrigin(stream: string, segment: number): string {
  return `${ORIGIN}/${stream}/${segment}`;
}

/** The text that is signed (c2sp.org/tlog-checkpoint): origin, entries, root, and one extension line. */
function checkpointText(
  facts: Omit<SealFacts, 'seq' | 'time' | 'how' | 'recoveredBy'>,
  sha256: string,
): string {
  const previous = facts.previousRoot === null ? '-' : facts.previousRoot.toString('base64');
  return (
    `${checkpointOrigin(facts.stream, facts.segment)}\n${facts.entries}\n${facts.root.toString('base64')}\n` +
    `first ${facts.firstSeq} previous ${previous} last ${facts.last} seal ${sha256}\n`
  );
}

/** The whole seal line, without line feed. `privateKey`: Ed25519, of the process that seals. */
export function createSealedLine(facts: SealFacts & { privateKey: KeyObject }): string {
  const head = encodeHead(facts.stream)(facts.seq, facts.time);
  const tail = encodeTail({
    type: 'seal',
    seal: {
      segment: facts.segment,
      first_seq: facts.firstSeq,
      entries: facts.entries,
      previous_root: facts.previousRoot === null ? null : facts.previousRoot.toString('base64'),
      root: facts.root.toString('base64'),
      last: facts.last,
      how: facts.how,
      recovered_by: facts.recoveredBy,
      checkpoint: '',
    },
  });
  const empty = head + tail;
  const text = checkpointText(facts, hash('sha256', empty, 'hex'));
  const note = signNote(text, checkpointOrigin(facts.stream, facts.segment), facts.privateKey);
  return `${empty.slice(0, -LINE_END.length)}${escaped(note)}${LINE_END}`;
}

/** A note as it stands between the quotes of the column: JSON escapes its line feeds, and nothing else occurs in it. */
function escaped(note: string): string {
  return JSON.stringify(note).slice(1, -1);
}

/**
 * Hex SHA-256 of a seal line's bytes with the value of `checkpoint` replaced by nothing; null when the line does not end
 * with that column. A quote within a JSON string is escaped, so that the last `,"checkpoint":"` is the column itself.
 */
export function sealHash(line: Buffer): string | null {
  const start = line.lastIndexOf(CHECKPOINT);
  if (start < 0 || line.subarray(-LINE_END.length).toString('latin1') !== LINE_END) return null;
  const value = start + CHECKPOINT.length;
  const end = line.length - LINE_END.length;
  if (value > end || line.subarray(value, end).includes('"')) return null;
  return hash('sha256', Buffer.concat([line.subarray(0, value), line.subarray(end)]), 'hex');
}

/** What a seal line says, as far as its signature covers it: read from JSON by the caller, who checked the types. */
export interface SealClaim extends Omit<SealFacts, 'root' | 'previousRoot'> {
  root: string;
  previousRoot: string | null;
  checkpoint: string;
}

/**
 * Checks that the checkpoint of a seal line is signed by `publicKey` and says what the line says.
 * @returns null when it is right, else what is wrong, as the end of a sentence
 */
export function checkSeal(line: Buffer, claim: SealClaim, publicKey: KeyObject): string | null {
  const opened = openNote(claim.checkpoint, [
    { name: checkpointOrigin(claim.stream, claim.segment), key: publicKey },
  ]);
  if (!opened.ok) return `its checkpoint is not signed by the key that it must be: ${opened.reason}`;
  const sha256 = sealHash(line);
  if (sha256 === null) return 'its last column is not the checkpoint';
  // The one column that the signature can't cover has one spelling only: one signature, escaped as this format escapes.
  if (claim.checkpoint.slice(opened.text.length + 1).split('\n').length !== 2) {
    return 'its checkpoint carries more than one signature';
  }
  if (
    !line
      .subarray(0, -LINE_END.length)
      .toString('utf8')
      .endsWith(CHECKPOINT + escaped(claim.checkpoint))
  ) {
    return 'its checkpoint is spelled in another way than it was sealed';
  }
  const root = Buffer.from(claim.root, 'base64');
  const previousRoot = claim.previousRoot === null ? null : Buffer.from(claim.previousRoot, 'base64');
  if (opened.text !== checkpointText({ ...claim, root, previousRoot }, sha256)) {
    return 'its checkpoint signs something else than the line says';
  }
  return null;
}
