/**
 * Patterns of the configuration: what they match is what RE2 matches, and they end in time.
 */
import fc from 'fast-check';
import { RE2JS } from 're2js';
import { describe, expect, it } from 'vitest';
import { compileOwnPattern, type OwnPattern } from '../../../sidecar/exchange/masking/own-pattern.ts';
import { recordMasker } from './support.ts';

function compiledPattern(source: string): OwnPattern | null {
  const result = compileOwnPattern(source);
  return result.ok ? result.pattern : null;
}

function codesOf(text: string): Uint16Array {
  return Uint16Array.from({ length: text.length + 1 }, (_, index) =>
    index < text.length ? text.charCodeAt(index) : 0,
  );
}

function allMatches(pattern: OwnPattern, text: string): string[] {
  const found: string[] = [];
  const codes = codesOf(text);
  const work = { steps: 1e7 };
  for (let from = 0; ; ) {
    const match = pattern.search(codes, text.length, from, work);
    if (match === null) return found;
    found.push(`${match[0]}-${match[1]}`);
    from = match[1];
  }
}

function matchesOfLibrary(source: string, text: string): string[] {
  const matcher = RE2JS.compile(source).matcher(text);
  const found: string[] = [];
  while (matcher.find()) found.push(`${matcher.start()}-${matcher.end()}`);
  return found;
}

/** Small patterns of everything that RE2 has. */
const { pattern: anyPattern } = fc.letrec<{
  pattern: string;
  atom: string;
  repeated: string;
  sequence: string;
}>((tie) => ({
  atom: fc.oneof(
    { maxDepth: 2 },
    fc.constantFrom(
      'a',
      'b',
      'c',
      '.',
      '\\d',
      '\\w',
      '\\s',
      '[ab]',
      '[^a]',
      '(?i)k',
      'é',
      '😀',
      '\\b',
      '\\B',
      '^',
      '$',
      '(?m)^',
      '(?s).',
    ),
    { arbitrary: tie('pattern').map((inner) => `(?:${inner})`), weight: 1 },
  ),
  repeated: fc
    .tuple(tie('atom'), fc.constantFrom('', '', '*', '+', '?', '*?', '+?', '{2,3}', '{2}'))
    .map(([atom, times]) => (/^(?:[\^$]|\\b|\\B|\(\?m\)\^)$/.test(atom) ? atom : atom + times)),
  sequence: fc.array(tie('repeated'), { minLength: 1, maxLength: 4 }).map((parts) => parts.join('')),
  pattern: fc.array(tie('sequence'), { minLength: 1, maxLength: 2 }).map((parts) => parts.join('|')),
}));
const anyText = fc
  .array(fc.constantFrom('a', 'b', 'c', 'k', 'K', '\u212a', ' ', '\n', '1', 'é', '😀', '_', '\ud83d'), {
    maxLength: 24,
  })
  .map((parts) => parts.join(''));

describe('a pattern', () => {
  it('matches what the library says that RE2 matches', () => {
    let compared = 0;
    fc.assert(
      fc.property(anyPattern, anyText, (source, text) => {
        const pattern = compiledPattern(source);
        if (pattern === null) return;
        compared += 1;
        expect(allMatches(pattern, text)).toEqual(matchesOfLibrary(source, text));
      }),
      { numRuns: 4000 },
    );
    expect(compared).toBeGreaterThan(1000);
  });

  it('is announced by its trigger in every text that it matches', () => {
    fc.assert(
      fc.property(anyPattern, anyText, (source, text) => {
        const pattern = compiledPattern(source);
        if (pattern === null) return;
        const masker = recordMasker([{ kind: 'pattern', name: 'own', pattern: source }]);
        const matches = matchesOfLibrary(source, text).length > 0;
        expect(masker.value(text).masked !== null || masker.value(text).exceeded, source).toBe(matches);
        const json = JSON.stringify({ x: [text] });
        if (matches) expect(masker.content(json).text, source).not.toBe(json);
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['E[0-9]{6}', 5],
    ['[A-Za-z0-9._-]+@[a-z0-9.-]+\\.[a-z]{2,}', 2],
    ['password=\\S+', 4],
    ['(?i)internal-\\d+', 4],
  ])('%s is announced by at least %i characters', (source, places) => {
    expect(compiledPattern(source)?.trigger?.length).toBeGreaterThanOrEqual(places);
  });

  it.each(['\\S{20,}', '.+', '\\w+|\\d+'])('%s has none: every string is shown to it', (source) => {
    expect(compiledPattern(source)?.trigger).toBeNull();
  });
});

const LENGTH = 1_000_000;
/** Patterns and texts with which engines that go back take for ever. */
const HOSTILE: readonly (readonly [pattern: string, unit: string])[] = [
  ['(a+)+$', 'a'],
  ['(a|aa)+b', 'a'],
  ['(a|a)*c|d', 'a'],
  ['a.*b|a', 'a'],
  ['(x+x+)+y', 'x'],
  ['.*.*.*=.*', 'x'],
  ['(?:a?){50}a{50}', 'a'],
  ['[a-z]{1,200}[0-9]', 'a'],
  ['\\S{20,}', 'ab '],
  ['(\\w+\\s*)+:', 'word '],
  ['a{1,400}b', 'aaaa'],
];

describe('a megabyte', () => {
  it.each(HOSTILE)('against %s ends: masked, or given up within its steps', (source, unit) => {
    const text = JSON.stringify({ text: unit.repeat(LENGTH / unit.length) });
    const masker = recordMasker([{ kind: 'pattern', name: 'own', pattern: source }]);
    const answer = masker.content(text);
    if (answer.exceeded) expect(answer).toEqual({ text: '', masked: null, exceeded: true });
    else expect(JSON.parse(answer.text)).toBeDefined();
  });

  it('takes no more steps than it may, whatever the pattern', () => {
    for (const [source, unit] of HOSTILE) {
      const pattern = compiledPattern(source);
      if (pattern === null) continue;
      const text = unit.repeat(LENGTH / unit.length);
      const work = { steps: 5_000_000 };
      const codes = codesOf(text);
      for (let from = 0, match: [number, number] | null = [0, 0]; match !== null; from = match[1]) {
        match = pattern.search(codes, text.length, from, work);
        if (match === null) break;
      }
      // One more character than was paid for, with as many threads as the program has instructions.
      expect(work.steps, source).toBeGreaterThan(-4000);
    }
  });
});
