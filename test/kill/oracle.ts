/**
 * Owns the verdict over a recording after crashes: `verify` must explain it, no number may be missing, and what either side received must
 * be in it. What `verify` says of holes is not relied on: they are looked for once more in the lines themselves.
 */
import type { Line } from '@mcp-recorder/recording/format/line';
import { listSegments, readSegments } from '@mcp-recorder/recording/read/store-reader';
import { verifyStore } from '@mcp-recorder/recording/read/verify-store';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { type Ledger, missingFromRecording } from '../support/ledger.ts';

/** What lies in a spool for as long as there is one: all else of a drained spool was forgotten there. */
export const AT_REST: ReadonlySet<string> = new Set(['lock', 'lock-journal', 'session.key', 'live-token']);

export interface Verdict {
  /** One sentence each; none when all is well. */
  violations: string[];
  lines: number;
  /** Those lines, in the order of their streams. */
  recorded: readonly Line[];
  segments: number;
  /** Streams by how `verify` found them. */
  states: Record<string, number>;
  /** Segments by why they were sealed. */
  seals: Record<string, number>;
}

/**
 * Judges a store that nobody writes to any more, all of whose streams must have ended.
 * @param copies equal copies of a segment are fine: its writer may not read, so that it could not find out what a lost answer had said
 */
export async function judge(store: ObjectStore, ledger: Ledger, { copies = false } = {}): Promise<Verdict> {
  const report = await verifyStore(store, { expectClosed: true });
  const findings = [...report.findings, ...report.streams.flatMap((stream) => stream.findings)];
  const violations = findings.map(({ code, message }) => `verify: ${code}: ${message}`);
  const states: Record<string, number> = {};
  for (const { state } of report.streams) states[state] = (states[state] ?? 0) + 1;
  // Nothing here damages files, so nothing may be stated as lost either.
  if (states['lost'] !== undefined) violations.push(`${states['lost']} streams lost segments`);
  const lines: Line[] = [];
  const onUnreadable = ({ message }: { message: string }) => void violations.push(message);
  let segments = 0;
  for await (const segment of readSegments(store, { onUnreadable })) {
    segments += 1;
    for (const { line } of segment.lines()) lines.push(line);
  }
  // Objects are listed by the time in their keys, and a clock may have been set back in the middle of a stream.
  lines.sort((a, b) => (a.stream === b.stream ? a.seq - b.seq : a.stream < b.stream ? -1 : 1));
  for await (const { key, place } of listSegments(store)) {
    if (place.copy > 0 && !copies) violations.push(`a second object was made of one segment: ${key}`);
  }
  const seals: Record<string, number> = {};
  for (const line of lines) {
    if (line.type === 'seal') seals[line.seal.how] = (seals[line.seal.how] ?? 0) + 1;
  }
  violations.push(...holes(lines), ...twice(lines), ...missingFromRecording(ledger, lines));
  return { violations, lines: lines.length, recorded: lines, segments, states, seals };
}

/**
 * What `verify` finds in a store while its recorder may be dead or alive: streams may be open and objects on their way, so that only
 * what no later object can explain is told.
 */
export async function judgeMeanwhile(store: ObjectStore): Promise<string[]> {
  const { streams, findings } = await verifyStore(store);
  return [...findings, ...streams.flatMap((stream) => stream.findings)]
    .filter(({ code }) => code !== 'missing_segment')
    .map(({ code, message }) => `verify meanwhile: ${code}: ${message}`);
}

/** Operations with more than one result. */
function twice(lines: readonly Line[]): string[] {
  const settled = new Set<string>();
  const found: string[] = [];
  for (const line of lines) {
    if (line.type !== 'result' || line.operation === null) continue;
    if (settled.has(line.operation)) found.push(`operation ${line.operation} has more than one result`);
    settled.add(line.operation);
  }
  return found;
}

/** Numbers that a stream or an exchange has not, or has twice. */
function holes(lines: readonly Line[]): string[] {
  const found: string[] = [];
  const check = (what: string, numbers: number[]) => {
    numbers.sort((a, b) => a - b);
    const at = numbers.findIndex((number, index) => number !== index);
    if (at >= 0) found.push(`${what}: ${numbers[at]} stands where ${at} must be`);
  };
  const streams = new Map<string, number[]>();
  const exchanges = new Map<string, number[]>();
  const add = (to: Map<string, number[]>, key: string, number: number) => {
    const numbers = to.get(key);
    if (numbers === undefined) to.set(key, [number]);
    else numbers.push(number);
  };
  for (const line of lines) {
    add(streams, line.stream, line.seq);
    if ('exchange' in line && line.exchange !== null && line.part !== null) {
      add(exchanges, line.exchange, line.part);
    }
  }
  for (const [stream, numbers] of streams) check(`seq in stream ${stream}`, numbers);
  for (const [exchange, numbers] of exchanges) check(`part in exchange ${exchange}`, numbers);
  return found;
}
