/**
 * Owns the regular expressions of rules: RE2 syntax, in an engine that takes linear time.
 * Invariant: what is compiled stays below a fixed size, and the number of patterns kept is bounded.
 */
import { RE2JS } from 're2js';
import type { Meter } from './meter.ts';

/** Longest pattern, in characters, and largest program that it may become, in instructions. */
const MAX_PATTERN_LENGTH = 1000;
const MAX_PROGRAM_SIZE = 1000;
/** Patterns made by expressions that are kept, the latest used ones. */
const MAX_KEPT = 64;

/** What a regular expression is refused for. Its message quotes nothing but the engine's words about the syntax. */
export class PatternError extends Error {}

export interface Pattern {
  /** Instructions that it became. */
  size: number;
  /** Whether some part of the text matches. */
  matches(text: string, meter: Meter): boolean;
}

/** @throws PatternError */
export function compilePattern(source: string): Pattern {
  if (source.length > MAX_PATTERN_LENGTH) {
    throw new PatternError(`a regular expression may have ${MAX_PATTERN_LENGTH} characters`);
  }
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(source);
  } catch (error) {
    throw new PatternError(`not a regular expression in RE2 syntax: ${(error as Error).message}`);
  }
  const size = compiled.programSize();
  if (size > MAX_PROGRAM_SIZE) throw new PatternError('the regular expression is too large: repeat less');
  return {
    size,
    matches(text, meter) {
      // 3.5 ns a character and instruction at worst, measured with patterns that make the engine keep all of them alive.
      meter.spend(1 + Math.ceil((text.length * size) / 3));
      return compiled.test(text);
    },
  };
}

/** Patterns that are not literals: compiled when they are first met, and kept while they are used. */
export function createPatternCache(meter: Meter): (source: string) => Pattern {
  const kept = new Map<string, Pattern>();
  return (source) => {
    const known = kept.get(source);
    if (known !== undefined) {
      kept.delete(source);
      kept.set(source, known);
      return known;
    }
    // 0.2 to 1 ms, and one of the largest 20 ms: that is known only afterwards.
    meter.spend(20_000 + 1000 * Math.min(source.length, MAX_PATTERN_LENGTH));
    const pattern = compilePattern(source);
    meter.spend(100 * pattern.size);
    kept.set(source, pattern);
    if (kept.size > MAX_KEPT) kept.delete(kept.keys().next().value as string);
    return pattern;
  };
}
