/**
 * Owns what is remembered of one segment's lines, gathered in memory before any of it is written.
 * Invariant: a function of the segment's bytes; bodies are kept only where their words are wanted.
 */
import {
  type Call,
  type DeniedLine,
  type GapLine,
  type Line,
  type RequestLine,
  type ResultLine,
  type Session,
  SESSION_STRENGTH,
} from '../format/line.ts';
import { parseMicros } from '../format/time.ts';
import { readLine } from './read-line.ts';
import { textOfBody } from './text.ts';

/** What the segment holds of one exchange. */
export interface PartFacts {
  request: { line: Pick<RequestLine, 'seq' | 'principal' | 'http'>; timeUs: number } | null;
  session: { session: Session; strength: number; seq: number } | null;
  /** Status of its newest response. */
  status: { status: number | null; seq: number } | null;
}

export interface SegmentFacts {
  parts: Map<string, PartFacts>;
  /** `nth`: place among the calls of its line. */
  calls: { exchange: string; timeUs: number; seq: number; nth: number; call: Call }[];
  results: { timeUs: number; line: ResultLine }[];
  denials: { timeUs: number; seq: number; denied: DeniedLine['denied'] }[];
  gaps: { timeUs: number; seq: number; gap: GapLine['gap'] }[];
  /** Lines that are left out, as the end of a sentence that begins with the line. */
  problems: { index: number; why: string }[];
  /** Bodies with words, when they are wanted. */
  texts: { exchange: string; text: string }[];
}

const LF = 0x0a;

/**
 * Reads the decoded lines of a segment.
 * @param wantsText whether the words of bodies are gathered too
 */
export function factsOf(decoded: Buffer, wantsText: boolean): SegmentFacts {
  const facts: SegmentFacts = {
    parts: new Map(),
    calls: [],
    results: [],
    denials: [],
    gaps: [],
    problems: [],
    texts: [],
  };
  let index = 0;
  for (let start = 0; start < decoded.length; index += 1) {
    const feed = decoded.indexOf(LF, start);
    const end = feed < 0 ? decoded.length : feed;
    const read = readLine(decoded.subarray(start, end));
    start = end + 1;
    if (read.ok) addLine(facts, read.line, wantsText);
    else if (!read.isNewer || facts.problems.at(-1)?.why !== read.why) {
      // All lines of an object are of one version: one of them says it.
      facts.problems.push({ index, why: read.why });
    }
  }
  return facts;
}

function addLine(facts: SegmentFacts, line: Line, wantsText: boolean): void {
  const { seq } = line;
  switch (line.type) {
    case 'open':
    case 'config':
    case 'seal':
      return;
    case 'denied':
      facts.denials.push({ timeUs: parseMicros(line.time), seq, denied: line.denied });
      return;
    case 'gap':
      facts.gaps.push({ timeUs: parseMicros(line.time), seq, gap: line.gap });
      return;
    case 'result':
      facts.results.push({ timeUs: parseMicros(line.time), line });
      if (line.exchange !== null) addSession(partOf(facts, line.exchange), line.session, seq);
      return;
    case 'end':
      partOf(facts, line.exchange);
      return;
  }
  const part = partOf(facts, line.exchange);
  addSession(part, line.session, seq);
  if (line.type === 'request') {
    const { principal, http } = line;
    part.request = { line: { seq, principal, http }, timeUs: parseMicros(line.time) };
  }
  if (line.type === 'response') part.status = { status: line.http.status, seq };
  const timeUs = line.calls === undefined ? 0 : parseMicros(line.time);
  for (const [nth, call] of (line.calls ?? []).entries()) {
    facts.calls.push({ exchange: line.exchange, timeUs, seq, nth, call });
  }
  if (wantsText && line.body !== null && line.body_encoding === 'utf8') {
    const text = textOfBody(line.body, isPiece(line));
    if (text !== '') facts.texts.push({ exchange: line.exchange, text });
  }
}

/** Whether the body began on an earlier line. */
function isPiece(line: Extract<Line, { body: string | null }>): boolean {
  return line.type === 'chunk' || (line.type === 'event' && line.sse.prefix === '');
}

function partOf({ parts }: SegmentFacts, exchange: string): PartFacts {
  let part = parts.get(exchange);
  if (part === undefined) parts.set(exchange, (part = { request: null, session: null, status: null }));
  return part;
}

function addSession(part: PartFacts, session: Session | undefined, seq: number): void {
  if (session === undefined) return;
  const strength = SESSION_STRENGTH.indexOf(session.how);
  if (part.session === null || strength > part.session.strength) part.session = { session, strength, seq };
}
