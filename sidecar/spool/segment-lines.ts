/**
 * Owns what the spool reads out of the lines of one segment (each with its LF): pure.
 * Invariant: facts come from the lines themselves, never from memory or from a file's name, so that what is uploaded after a crash is
 * described exactly as it would have been before.
 */
import type { OpenLine, SealHow, SealLine } from '@mcp-recorder/recording/format/line';
import { createTree, leafHash, type Tree } from '@mcp-recorder/recording/proof/merkle';

/** The lines are not what a segment's lines must be. */
export class SegmentDamage extends Error {}

export interface SegmentFacts {
  open: OpenLine;
  /** Lines, seal included. */
  lines: number;
  /** `seq` and time of the last line. */
  lastSeq: number;
  lastTime: string;
  /** Null when the segment was left open. */
  seal: SealLine['seal'] | null;
}

function parse(line: Buffer, what: string): Record<string, unknown> {
  try {
    return JSON.parse(line.toString('utf8')) as Record<string, unknown>;
  } catch (error) {
    throw new SegmentDamage(`the ${what} line is no JSON`, { cause: error });
  }
}

/** Where the last line starts. */
function lastLineStart(lines: Buffer): number {
  return lines.length < 2 ? 0 : lines.lastIndexOf(0x0a, lines.length - 2) + 1;
}

function countLines(lines: Buffer): number {
  let count = 0;
  for (let at = lines.indexOf(0x0a); at >= 0; at = lines.indexOf(0x0a, at + 1)) count += 1;
  return count;
}

/**
 * Reads the first and the last line.
 * @throws SegmentDamage when these are not lines of that segment of that stream
 */
export function readFacts(lines: Buffer, stream: string, segment: number): SegmentFacts {
  if (lines.at(-1) !== 0x0a) throw new SegmentDamage('the lines do not end with a line feed');
  const open = parse(lines.subarray(0, lines.indexOf(0x0a)), 'first') as unknown as OpenLine;
  const last = parse(lines.subarray(lastLineStart(lines), lines.length - 1), 'last') as unknown as SealLine;
  if (open.type !== 'open' || open.stream !== stream || open.open.segment !== segment) {
    throw new SegmentDamage(`the first line does not open segment ${segment} of stream ${stream}`);
  }
  const sealed = last.type === 'seal';
  const count = countLines(lines);
  if (last.seq !== open.seq + count - 1 || (sealed && last.seal.segment !== segment)) {
    throw new SegmentDamage(`the last line is not line ${count} of segment ${segment}`);
  }
  return { open, lines: count, lastSeq: last.seq, lastTime: last.time, seal: sealed ? last.seal : null };
}

/** The lines before the last one. */
export function withoutLastLine(lines: Buffer): Buffer {
  return lines.subarray(0, lastLineStart(lines));
}

/** The hash tree over all of the lines. */
export function treeOf(lines: Buffer): Tree {
  const tree = createTree();
  let start = 0;
  for (let end = lines.indexOf(0x0a); end >= 0; end = lines.indexOf(0x0a, start)) {
    tree.append(leafHash(lines.subarray(start, end)));
    start = end + 1;
  }
  return tree;
}

/** What a seal says beyond the lines that it seals. */
export interface SealReason {
  how: SealHow;
  last: boolean;
  recoveredBy: string | null;
}
