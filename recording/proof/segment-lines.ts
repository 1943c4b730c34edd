/**
 * Owns the walk over a segment's lines: that they are lines, of one stream, in order, between one `open` and one `seal`.
 * Invariant: every byte of the segment is in the root that comes out or in the seal line.
 */
import { isUtf8 } from 'node:buffer';
import type { OpenLine, SealLine } from '../format/line.ts';
import { openSchema, sealSchema } from '../format/line-schema.ts';
import { isTime } from '../format/time.ts';
import { createExchangeParts, type ExchangeParts } from './exchange-parts.ts';
import type { FindingCode } from './finding.ts';
import { createTree, leafHash } from './merkle.ts';

/** Notes a finding at a line of the segment, or at the segment as a whole. */
export type Find = (code: FindingCode, line: number | null, what: string) => void;

export interface SegmentLines {
  lines: number;
  /** Lines that the root covers: all but the seal. */
  entries: number;
  /** Base64 of the RFC 6962 root. */
  root: string;
  firstTime: string | null;
  lastTime: string | null;
  open: OpenLine | null;
  seal: { line: SealLine; bytes: Buffer; index: number } | null;
  /** Exchanges that do not both begin and end here. */
  exchanges: ExchangeParts[];
}

/** What may stand in a line that is an object; nothing is certain of it. */
interface Columns {
  v?: unknown;
  stream?: unknown;
  seq?: unknown;
  time?: unknown;
  type?: unknown;
  exchange?: unknown;
  part?: unknown;
  ended?: { parts?: unknown } | undefined;
  config?: { kind?: unknown };
  seal?: { how?: unknown };
}

const LF = 0x0a;

/** Walks the decoded lines of one segment of `stream`; whatever is wrong goes to `find`. */
export function walkLines(bytes: Buffer, stream: string, find: Find): SegmentLines {
  if (!isUtf8(bytes)) find('not_lines', null, 'the bytes are not valid UTF-8');
  if (bytes.length === 0 || bytes[bytes.length - 1] !== LF) {
    find(
      'not_lines',
      null,
      'the last line is not ended by a line feed: the object was cut off or never whole',
    );
  }
  const tree = createTree();
  const parts = createExchangeParts((line, what) => find('exchange', line, what));
  const order = createOrder(stream, find);
  let open: OpenLine | null = null;
  let seal: SegmentLines['seal'] = null;
  let index = 0;
  for (let start = 0; start < bytes.length; index += 1) {
    const feed = bytes.indexOf(LF, start);
    const line = bytes.subarray(start, feed < 0 ? bytes.length : feed);
    start += line.length + 1;
    if (seal !== null) {
      find('seal', index, 'a line stands after the seal');
      tree.append(leafHash(seal.bytes));
      seal = null;
    }
    const columns = parseColumns(line);
    if (columns === null) find('not_lines', index, 'the line is no JSON object');
    order.check(index, columns);
    if (index === 0 && columns !== null) {
      const parsed = openSchema.safeParse(columns);
      if (parsed.success) open = parsed.data;
      else find('open', index, `the first line is no open line: ${firstIssue(parsed.error)}`);
    }
    if (index > 0 && columns?.type === 'open') find('open', index, 'an open line stands within the segment');
    if (columns?.type === 'seal') {
      const parsed = sealSchema.safeParse(columns);
      if (parsed.success) {
        seal = { line: parsed.data, bytes: line, index };
        continue;
      }
      find('seal', index, `the seal line is malformed: ${firstIssue(parsed.error)}`);
    }
    if (columns !== null) parts.add(index, columns);
    tree.append(leafHash(line));
  }
  return {
    lines: index,
    entries: tree.size,
    root: tree.root().toString('base64'),
    ...order.times(),
    open,
    seal,
    exchanges: parts.unfinished(),
  };
}

/** Checks the head of each line against the one before. */
function createOrder(stream: string, find: Find) {
  let expectedSeq: number | null = null;
  let firstTime: string | null = null;
  let lastTime: string | null = null;
  let stepAllowed = false;
  return {
    check(index: number, columns: Columns | null): void {
      if (columns === null) {
        if (expectedSeq !== null) expectedSeq += 1;
        return;
      }
      const { v, seq, time, type } = columns;
      if (v !== 1 || columns.stream !== stream || typeof type !== 'string') {
        find('head', index, `v, stream or type is not that of a version 1 line of stream ${stream}`);
      }
      if (typeof seq !== 'number' || !Number.isSafeInteger(seq) || seq < 0) {
        find('head', index, 'seq is no whole number');
      } else {
        if (expectedSeq !== null && seq !== expectedSeq) {
          find('sequence', index, `seq is ${seq} where ${expectedSeq} must follow`);
        }
        expectedSeq = seq + 1;
      }
      if (isTime(time)) {
        // Whoever seals for a dead process has another clock.
        const foreignClock = type === 'seal' && columns.seal?.how === 'recovered';
        if (lastTime !== null && time < lastTime && !stepAllowed && !foreignClock) {
          find('time', index, `time ${time} is before that of the line before, ${lastTime}`);
        }
        firstTime ??= time;
        lastTime = time;
      } else {
        find('head', index, 'time is no UTC time with microseconds');
      }
      stepAllowed = type === 'config' && columns.config?.kind === 'clock';
    },
    times: () => ({ firstTime, lastTime }),
  };
}

function parseColumns(line: Buffer): Columns | null {
  try {
    const value: unknown = JSON.parse(line.toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

function firstIssue(error: { issues: { path: PropertyKey[]; message: string }[] }): string {
  const issue = error.issues[0];
  return issue === undefined ? 'unknown' : `${issue.path.join('.')}: ${issue.message}`;
}
