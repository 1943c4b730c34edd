/**
 * Owns what one segment proves by itself: that its lines are those that were sealed, whole and in order.
 * Invariant: no finding = every byte of the segment is under the signature of the key that `open` names, or will be once
 * the recovering stream's key has checked `sealToCheck`.
 */
import { hash } from 'node:crypto';
import { keySecond, type SegmentKey } from '../format/keys.ts';
import type { OpenLine, PreviousStream, SealHow } from '../format/line.ts';
import type { ExchangeParts } from './exchange-parts.ts';
import type { Finding } from './finding.ts';
import { parsePublicKey } from './note.ts';
import { checkSeal, type SealClaim } from './seal.ts';
import { type Find, type SegmentLines, walkLines } from './segment-lines.ts';

/** Findings that are kept of one segment: a hostile one may have a million. */
const MAX_FINDINGS = 100;

/** What remains of a segment once it is checked: all that is needed to check its stream. */
export interface CheckedSegment {
  stream: string;
  segment: number;
  copy: number;
  /** Hex SHA-256 of the decoded bytes. */
  digest: string;
  /** Lines, `open` and `seal` included. */
  lines: number;
  firstTime: string | null;
  lastTime: string | null;
  opened: {
    firstSeq: number;
    previousRoot: string | null;
    previousStreams: PreviousStream[];
    publicKey: string;
    /** `cluster/namespace/server`. */
    place: string;
  } | null;
  sealed: { seq: number; root: string; last: boolean; how: SealHow } | null;
  /** The seal of a recovered segment: whether it is right only the key of the stream `recoveredBy` can say. */
  sealToCheck: { recoveredBy: string; line: Buffer; claim: SealClaim } | null;
  exchanges: ExchangeParts[];
  findings: Finding[];
}

/**
 * Checks the decoded lines of one object against themselves and the object's key.
 * Never throws for what it reads: whatever is wrong is a finding.
 */
export function verifySegment(bytes: Buffer, key: SegmentKey): CheckedSegment {
  const { stream, segment, copy } = key;
  const findings: Finding[] = [];
  const find: Find = (code, line, what) => {
    if (findings.length > MAX_FINDINGS) return;
    const where = line === null ? '' : `, line ${line}`;
    const more =
      findings.length === MAX_FINDINGS ? ' (what else is wrong with this segment is left out)' : '';
    const message = `stream ${stream}, segment ${segment}${where}: ${what}${more}`;
    findings.push({ code, stream, segment, line, message });
  };
  const found = walkLines(bytes, stream, find);
  if (found.open !== null) checkOpen(found.open, key, find);
  return {
    stream,
    segment,
    copy,
    digest: hash('sha256', bytes, 'hex'),
    lines: found.lines,
    firstTime: found.firstTime,
    lastTime: found.lastTime,
    opened: found.open === null ? null : openedBy(found.open),
    sealed: sealedBy(found),
    sealToCheck: checkSealed(found, segment, find),
    exchanges: found.exchanges,
    findings,
  };
}

function openedBy({ seq, open }: OpenLine): CheckedSegment['opened'] {
  return {
    firstSeq: seq,
    previousRoot: open.previous_root,
    previousStreams: open.previous_streams,
    publicKey: open.public_key,
    place: `${open.cluster}/${open.namespace}/${open.server}`,
  };
}

function sealedBy({ seal }: SegmentLines): CheckedSegment['sealed'] {
  if (seal === null) return null;
  const { root, last, how } = seal.line.seal;
  return { seq: seal.line.seq, root, last, how };
}

function checkOpen({ open, seq, time }: OpenLine, key: SegmentKey, find: Find): void {
  if (open.segment !== key.segment) find('key', 0, `the open line says segment ${open.segment}`);
  if ((open.segment === 0) !== (open.previous_root === null)) {
    find('open', 0, 'previous_root must be null in segment 0 and in no other');
  }
  if (open.segment === 0 && seq !== 0) find('sequence', 0, `the stream begins with seq ${seq}, not 0`);
  if (open.segment !== 0 && open.previous_streams.length > 0) {
    find('open', 0, 'only segment 0 may name streams before it');
  }
  if (open.cluster !== key.cluster || open.namespace !== key.namespace || open.server !== key.server) {
    find(
      'key',
      0,
      `the lines are of ${open.cluster}/${open.namespace}/${open.server}, the key says otherwise`,
    );
  }
  if (time.slice(0, 10) !== key.date || keySecond(time) !== key.second) {
    find('key', 0, `the first line is of ${time}, the key says ${key.second}`);
  }
}

/** Checks the seal against the lines; returns what is left to check with another stream's key. */
function checkSealed(found: SegmentLines, segment: number, find: Find): CheckedSegment['sealToCheck'] {
  const { open } = found;
  if (found.seal === null) {
    find('seal', null, 'the last line is no seal: lines were cut off, or the object was never whole');
    return null;
  }
  const { line, bytes, index } = found.seal;
  const s = line.seal;
  if (s.segment !== segment) find('seal', index, `the seal says segment ${s.segment}`);
  if (s.entries !== found.entries) {
    find('seal', index, `the seal counts ${s.entries} lines before it, there are ${found.entries}`);
  }
  if (open !== null && s.first_seq !== open.seq) {
    find('seal', index, `the seal says that the first seq is ${s.first_seq}, it is ${open.seq}`);
  }
  if (open !== null && s.previous_root !== open.open.previous_root) {
    find('seal', index, 'open and seal name different previous roots');
  }
  if (s.root !== found.root) {
    find(
      'root',
      null,
      `its lines hash to ${found.root}, sealed is ${s.root}: some line is not what was recorded`,
    );
  }
  if ((s.how === 'recovered') !== (s.recovered_by !== null) || (s.recovered_by !== null && s.last)) {
    find('seal', index, 'a recovered seal, and no other, names recovered_by, and it is never the last');
  }
  const claim: SealClaim = {
    stream: line.stream,
    seq: line.seq,
    time: line.time,
    segment: s.segment,
    firstSeq: s.first_seq,
    entries: s.entries,
    root: s.root,
    previousRoot: s.previous_root,
    last: s.last,
    how: s.how,
    recoveredBy: s.recovered_by,
    checkpoint: s.checkpoint,
  };
  // The line is copied: a view would keep the whole decoded segment in memory until its stream is checked.
  if (s.recovered_by !== null) return { recoveredBy: s.recovered_by, line: Buffer.from(bytes), claim };
  if (open === null) return null;
  const publicKey = parsePublicKey(open.open.public_key);
  if (publicKey === null) {
    find('open', 0, 'public_key is no Ed25519 key');
    return null;
  }
  const wrong = checkSeal(bytes, claim, publicKey);
  if (wrong !== null) find('signature', index, `the seal does not hold: ${wrong}`);
  return null;
}
