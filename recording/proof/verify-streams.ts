/**
 * Owns what a whole store proves: each stream is whole from its first line to an end that somebody signed, or it is said why not.
 * Invariant: a stream is `explained` only when nothing of it can have been changed, removed, repeated or swapped without the
 * ledger's help: what only a ledger could find (a whole stream's absence, the tail of one that is not closed, a forged
 * recovery of the newest stream) is stated as `live`.
 */
import type { SegmentKey } from '../format/keys.ts';
import type { Finding } from './finding.ts';
import { collectNamings, type Namings } from './namings.ts';
import { type FindAt, rangesWithout } from './stream-chain.ts';
import { findEnd, type StreamEnd } from './stream-end.ts';
import { createStreamSegments, type StreamSegments } from './stream-segments.ts';
import type { CheckedSegment } from './verify-segment.ts';

export type StreamState =
  /** Sealed as last by its own process; nothing is missing. */
  | 'complete'
  /** Not closed, as far as the store tells. */
  | 'live'
  /** Its process died; another one named its end. */
  | 'recovered'
  /** As recovered, and segments are lost that the other one stated as unreadable. */
  | 'lost'
  /** Something is not as it was recorded, and nothing explains it. */
  | 'tampered';

export interface StreamReport {
  stream: string;
  state: StreamState;
  /** Whether a ledger vouches for its key and its end. There is none yet. */
  attested: false;
  /** `cluster/namespace/server`; null when no segment says it. */
  place: string | null;
  segments: number;
  lines: number;
  /** Time of the first and of the last line; null when there is none. */
  since: string | null;
  until: string | null;
  /** Highest segment in the store. */
  lastSegment: number | null;
  /** The state in words, as `live since T, last segment n`. */
  statement: string;
  findings: Finding[];
}

export interface StreamsReport {
  streams: StreamReport[];
  /** Objects below the segments' prefix that belong to no stream. */
  findings: Finding[];
  /** Nothing is tampered with and nothing is unexplained. */
  explained: boolean;
}

export interface StreamsVerifier {
  /** Takes a segment, in any order; keeps a summary only. */
  add(segment: CheckedSegment): void;
  /** An object with a segment's key whose lines could not be had. `why`: the end of a sentence. */
  addDamaged(key: SegmentKey, why: string): void;
  /** The object of a segment was overwritten or deleted since it was put. `what`: the end of a sentence. */
  addChanged(key: SegmentKey, code: 'overwritten' | 'deleted', what: string): void;
  /** A key below the segments' prefix that is no segment's. */
  addForeign(key: string): void;
  report(): StreamsReport;
}

/** Missing segments of a stream that are named one by one: a hostile number may be huge. */
const MAX_NAMED_MISSING = 1000;

interface KnownStream {
  stream: string;
  segments: StreamSegments;
  findings: Finding[];
}

/** @param options.expectClosed a stream that is still live is a finding */
export function createStreamsVerifier(options: { expectClosed?: boolean } = {}): StreamsVerifier {
  const streams = new Map<string, KnownStream>();
  const foreign: Finding[] = [];
  const streamOf = (stream: string): KnownStream => {
    let known = streams.get(stream);
    if (known === undefined) {
      const findings: Finding[] = [];
      known = { stream, segments: createStreamSegments(finder(stream, findings)), findings };
      streams.set(stream, known);
    }
    return known;
  };
  return {
    add(segment) {
      const known = streamOf(segment.stream);
      known.findings.push(...segment.findings);
      if (known.segments.add(segment) !== 'differs') return;
      const find = finder(segment.stream, known.findings);
      find('copies_differ', segment.segment, 'two objects claim to be it, and their lines differ');
    },
    addDamaged({ stream, segment }, why) {
      const message = `stream ${stream}, segment ${segment}: the object can't be read: ${why}`;
      streamOf(stream).findings.push({ code: 'damaged', stream, segment, line: null, message });
    },
    addChanged({ stream, segment }, code, what) {
      const message = `stream ${stream}, segment ${segment}: ${what}`;
      streamOf(stream).findings.push({ code, stream, segment, line: null, message });
    },
    addForeign(key) {
      const message = `${key} lies among the segments and is none; readers may take it for one`;
      foreign.push({ code: 'foreign_object', stream: null, segment: null, line: null, message });
    },
    report() {
      const namings = collectNamings(streams);
      for (const named of namings.streams()) streamOf(named);
      const reports = [...streams.values()]
        .sort((a, b) => (a.stream < b.stream ? -1 : 1))
        .map((known) => reportStream(known, namings, options.expectClosed === true));
      const explained = foreign.length === 0 && reports.every((r) => r.findings.length === 0);
      return { streams: reports, findings: [...foreign], explained };
    },
  };
}

function reportStream(known: KnownStream, namings: Namings, expectClosed: boolean): StreamReport {
  const { stream } = known;
  const findings = [...known.findings];
  const find = finder(stream, findings);
  const { segments } = known;
  const namedBy = namings.of(stream);
  const stated = new Set(namedBy.filter((n) => n.root === null).map((n) => n.segment));
  const excused = new Set(stated);
  // An object that is damaged or deleted is reported as such, and not once more as a missing one.
  for (const { code, segment } of known.findings) {
    if ((code === 'damaged' || code === 'deleted') && segment !== null) excused.add(segment);
  }
  const missing = segments.holes(excused, find);
  const end = findEnd(segments, namedBy, namings, find);
  missing.push(...rangesWithout((segments.ends()?.highest.segment ?? -1) + 1, end.upTo, excused));
  const tampered = findings.length > 0 || (missing.length > 0 && end.settled);
  // While a writer lives, an object may be on its way: it is missing all the same, but nobody is accused.
  const why = end.settled ? 'removed, or never stored' : 'still on its way, or removed';
  let named = 0;
  for (const { from, to } of missing) {
    for (let n = from; n <= to; n += 1) {
      named += 1;
      const rest = named === MAX_NAMED_MISSING && n < to;
      find('missing_segment', n, `${rest ? `it and all up to ${to} are` : 'it is'} not in the store: ${why}`);
      if (named >= MAX_NAMED_MISSING) break;
    }
  }
  let state: StreamState = tampered ? 'tampered' : end.state;
  const lost = [...stated].filter((n) => !segments.has(n));
  if (lost.length > 0 && (state === 'recovered' || state === 'complete')) state = 'lost';
  if (state === 'live' && expectClosed) find('not_closed', null, 'it is not closed, and was expected to be');
  const ends = segments.ends();
  const report: Omit<StreamReport, 'statement'> = {
    stream,
    state,
    attested: false,
    ...segments.totals(),
    since: ends?.lowest.firstTime ?? null,
    until: ends?.highest.lastTime ?? null,
    lastSegment: ends?.highest.segment ?? null,
    findings,
  };
  return { ...report, statement: statementOf(report, end, lost) };
}

/** Notes findings of a stream. */
function finder(stream: string, findings: Finding[]): FindAt {
  return (code, segment, what) => {
    const where = segment === null ? '' : `, segment ${segment}`;
    findings.push({ code, stream, segment, line: null, message: `stream ${stream}${where}: ${what}` });
  };
}

function statementOf(
  report: Omit<StreamReport, 'statement'>,
  end: StreamEnd,
  lost: readonly number[],
): string {
  const { state, since, lastSegment } = report;
  const upTo = `last segment ${lastSegment ?? 'none'}`;
  switch (state) {
    case 'complete':
      return `complete, ${upTo}`;
    case 'recovered':
      return `its process died; recovered by ${end.by.join(', ')}, ${upTo}`;
    case 'lost':
      return `segments ${lost.join(', ')} stated as unreadable by ${end.by.join(', ')}, ${upTo}`;
    case 'tampered':
      return `${report.findings.length} findings, ${upTo}`;
    case 'live': {
      const who =
        end.by.length === 0 ? '' : `; recovered by ${end.by.join(', ')}, of which the store has no segment 0`;
      return `live since ${since ?? 'unknown'}, ${upTo}${who}`;
    }
  }
}
