/**
 * Owns the masking of text that has no structure: strings that were decoded, values of headers, bodies that are no JSON.
 * Invariant: nothing in the answer is found again, so masking it once more changes nothing.
 */
import { type CompiledRules, isExceeded, payForReading, type Run, scanTriggers } from './compiled-rules.ts';
import { readEscapes, readPercent } from './decoded-view.ts';
import type { Detector } from './detector.ts';
import { type Found, replaceFound } from './found.ts';
import type { NamedPattern } from './compiled-rules.ts';
import { newHits, type TriggerHits } from './triggers.ts';

/** What a marker puts beside its neighbours may match anew; so often it is looked at again before it is given up. */
const MAX_PASSES = 8;

/**
 * Masks what detectors and patterns find, in the text as it stands and in its readings without escapes and percent-encoding.
 * @param form plus signs are spaces (RFC 1866 8.2.1)
 * @returns the same string when nothing is found; when no steps are left, a text that must not be shown
 */
export function maskPlain(run: Run, text: string, form = false): string {
  let masked = text;
  for (let pass = 0; pass < MAX_PASSES; pass += 1) {
    const found = findAll(run, masked, form);
    if (isExceeded(run)) return '';
    const replaced = replaceFound(run, masked, found);
    if (replaced === null) return masked;
    masked = replaced;
  }
  run.work.steps = -1;
  return '';
}

function findAll(run: Run, text: string, form: boolean): Found[] {
  const found = findIn(run, text);
  for (const view of [readEscapes(text), readPercent(text, form)]) {
    if (view === null || isExceeded(run)) continue;
    payForReading(run, text.length);
    for (const { rule, start, end } of findIn(run, view.text)) {
      found.push({ rule, start: view.starts[start] as number, end: view.starts[end] as number });
    }
  }
  return found;
}

/** The codes of a text that is not the one being walked: `codesOf` has room for one. */
export function ownCodes(text: string): Uint16Array {
  const codes = new Uint16Array(text.length + 1);
  for (let index = 0; index < text.length; index += 1) codes[index] = text.charCodeAt(index);
  return codes;
}

function findIn(run: Run, text: string): Found[] {
  const { rules } = run;
  const codes = ownCodes(text);
  const hits = newHits();
  scanTriggers(rules, codes, text.length, hits, false);
  const found: Found[] = [];
  const { endsOfDetectors, announced } = sortHits(rules, hits);
  for (const [index, ends] of endsOfDetectors) {
    runDetector(run, rules.detectors[index] as Detector, text, ends, found);
  }
  for (const pattern of [...announced, ...rules.unannounced])
    runPattern(run, pattern, codes, text.length, found);
  return found;
}

function sortHits(
  rules: CompiledRules,
  hits: TriggerHits,
): { endsOfDetectors: Map<number, number[]>; announced: Set<NamedPattern> } {
  const endsOfDetectors = new Map<number, number[]>();
  const announced = new Set<NamedPattern>();
  for (let hit = 0; hit < hits.count; hit += 1) {
    const meaning = rules.meanings[hits.ids[hit] as number];
    if (meaning?.kind === 'pattern') announced.add(rules.patterns[meaning.index] as NamedPattern);
    if (meaning?.kind !== 'detector') continue;
    const ends = endsOfDetectors.get(meaning.index);
    if (ends === undefined) endsOfDetectors.set(meaning.index, [hits.ends[hit] as number]);
    else ends.push(hits.ends[hit] as number);
  }
  return { endsOfDetectors, announced };
}

/** Shows the detector the surroundings of its triggers, each character once. */
function runDetector(
  run: Run,
  detector: Detector,
  text: string,
  ends: readonly number[],
  found: Found[],
): void {
  const { name, before, after, cost } = detector;
  payForReading(run, cost * ends.length);
  for (let first = 0; first < ends.length && !isExceeded(run); ) {
    const start = Math.max(0, (ends[first] as number) - before);
    let end = (ends[first] as number) + after;
    let next = first + 1;
    while (next < ends.length && (ends[next] as number) - before <= end) {
      end = (ends[next] as number) + after;
      next += 1;
    }
    payForReading(run, Math.min(end, text.length) - start);
    detector.find(text.slice(start, end), (from, to) => {
      found.push({ rule: name, start: start + from, end: start + to });
    });
    first = next;
  }
}

function runPattern(
  run: Run,
  { name, pattern }: NamedPattern,
  codes: Uint16Array,
  length: number,
  found: Found[],
): void {
  for (let from = 0; from < length; ) {
    const match = pattern.search(codes, length, from, run.work);
    if (match === null) return;
    found.push({ rule: name, start: match[0], end: match[1] });
    from = match[1];
  }
}
