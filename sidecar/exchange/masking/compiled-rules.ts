/**
 * Owns the form in which the rules of one target (record or wire) are run, and the state of one run.
 * Invariant: a text that no trigger is found in, and that no rule must look at anyway, holds nothing that a rule matches.
 */
import type { Masked } from '@mcp-recorder/recording/format/line';
import { findCardNumbers } from './card-number.ts';
import type { Detector } from './detector.ts';
import type { JsonPath } from './json-path.ts';
import type { OwnPattern, Work } from './own-pattern.ts';
import type { TriggerAutomaton, TriggerHits } from './triggers.ts';

/** What a trigger of the automaton stands for, by its id. */
export type TriggerMeaning =
  | { kind: 'detector'; index: number; check: 'card' | 'url' | null }
  | { kind: 'pattern'; index: number }
  /** The name of a member, or the last name of a path. */
  | { kind: 'name' }
  /** `\u` and `\/`, which spell characters otherwise; `%41` does in URLs and forms. */
  | { kind: 'escape' }
  | { kind: 'percent' };

export interface NamedPattern {
  name: string;
  pattern: OwnPattern;
}

export interface CompiledRules {
  automaton: TriggerAutomaton;
  meanings: readonly TriggerMeaning[];
  detectors: readonly Detector[];
  patterns: readonly NamedPattern[];
  /** Of the patterns, those that no trigger announces. */
  unannounced: readonly NamedPattern[];
  /** Rule by the name of a member, in lower case. */
  keys: ReadonlyMap<string, string>;
  paths: readonly JsonPath[];
  /** Rule of each path. */
  pathRules: readonly string[];
  base64: boolean;
  /** Every string must be looked at: some rule has no trigger. */
  always: boolean;
  /** Some trigger has characters that are not ASCII. */
  beyondAscii: boolean;
  /** Matches the markers of these rules and of all detectors. */
  marker: RegExp;
}

/** What is counted and used up while one text is masked. */
export interface Run {
  rules: CompiledRules;
  counts: Map<string, number>;
  work: Work;
}

/** Steps for each character of a text, and for each text. A step is one of a pattern, and takes some nanoseconds; a megabyte gets less than 100 plain scans take. */
const STEPS_A_CHARACTER = 3;
const STEPS_A_TEXT = 1_000_000;

export function newRun(rules: CompiledRules, length: number): Run {
  return { rules, counts: new Map(), work: { steps: STEPS_A_TEXT + STEPS_A_CHARACTER * length } };
}

/** So many characters that are read, or shown to a detector, take about as long as a step of a pattern. */
const CHARACTERS_A_STEP = 8;

export function payForReading(run: Run, characters: number): void {
  run.work.steps -= characters / CHARACTERS_A_STEP;
}

export function isExceeded(run: Run): boolean {
  return run.work.steps < 0;
}

export function count(run: Run, rule: string): string {
  run.counts.set(rule, (run.counts.get(rule) ?? 0) + 1);
  return markerOf(rule);
}

export function markerOf(rule: string): string {
  return `[masked:${rule}]`;
}

/** Counts by rule, in the order of their names; null when nothing was found. */
export function countsOf(run: Run): Masked[] | null {
  if (run.counts.size === 0) return null;
  return [...run.counts].map(([rule, count]) => ({ rule, count })).sort((a, b) => (a.rule < b.rule ? -1 : 1));
}

/**
 * Looks for all triggers.
 * @param source the codes are a source whose escapes are not decoded: neighbours say nothing
 */
export function scanTriggers(
  rules: CompiledRules,
  codes: Uint16Array,
  length: number,
  hits: TriggerHits,
  source: boolean,
): void {
  let runEnd = -1;
  let runHasCard = false;
  rules.automaton.scan(codes, length, hits, (id, end) => {
    const meaning = rules.meanings[id] as TriggerMeaning;
    if (meaning.kind === 'escape') return rules.beyondAscii || spellsAscii(codes, length, end);
    if (meaning.kind !== 'detector' || meaning.check === null) return true;
    if (meaning.check === 'url') return hasUserInfo(codes, length, end);
    if (end > runEnd) {
      runHasCard = false;
      runEnd = findCardNumbers(codes, length, end - 1, !source, () => {
        runHasCard = true;
      });
    }
    return runHasCard;
  });
}

/** Whether the escape whose second character ends here means an ASCII character; `\/` does. */
function spellsAscii(codes: Uint16Array, length: number, end: number): boolean {
  if (codes[end - 1] === 0x2f) return true;
  if (end + 2 >= length) return false;
  return codes[end] === 0x30 && codes[end + 1] === 0x30 && (codes[end + 2] as number) < 0x38;
}

const MAX_USER_INFO = 400;
/** White space, quotes and what ends the authority of a URL. */
const endsAuthority = new Uint8Array(128);
endsAuthority.fill(1, 0, 0x21);
for (const character of '"\'<>\\/?#') endsAuthority[character.charCodeAt(0)] = 1;

function hasUserInfo(codes: Uint16Array, length: number, start: number): boolean {
  const end = Math.min(length, start + MAX_USER_INFO);
  for (let index = start; index < end; index += 1) {
    const code = codes[index] as number;
    if (code === 0x40) return true;
    if (code < 128 && endsAuthority[code] === 1) return false;
  }
  return false;
}
