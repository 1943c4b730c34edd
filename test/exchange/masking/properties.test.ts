/**
 * What holds for every text: JSON stays JSON, nothing but what is masked changes, and no secret is left wherever and however it is written.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plantedSecrets } from '../../support/secrets.ts';
import { recordMasker, type Rule } from './support.ts';

const RULES: Rule[] = [
  { kind: 'detectors', detectors: ['all'] },
  { kind: 'keys', name: 'secrets', keys: ['password', 'a'] },
  { kind: 'paths', name: 'here', paths: ['$.params.arguments.ssn', '$..b[1]'] },
  { kind: 'pattern', name: 'employee', pattern: 'E[0-9]{6}' },
  { kind: 'pattern', name: 'words', pattern: '\\bzz+\\b' },
];
const masker = recordMasker(RULES, true);
const detectors = recordMasker([{ kind: 'detectors', detectors: ['all'] }], true);
const SECRETS = plantedSecrets(99, 310);

/** Pieces of which texts are made that come close to what masking looks for. */
const piece = fc.oneof(
  { arbitrary: fc.string({ unit: 'binary', maxLength: 8 }), weight: 3 },
  fc.constantFrom(
    '"',
    '\\',
    '\\u0067',
    '\\u',
    '{',
    '}',
    '[',
    ']',
    ':',
    ',',
    ' ',
    '\n',
    '%67',
    '%',
    '&',
    '=',
    '[masked:',
    ']',
    '[masked:github]',
    'ghp_',
    'AKIA',
    'eyJ',
    'eyJhbGciOiJub25lIn0',
    'password',
    '"a":',
    '://',
    '@',
    '4111',
    ' 1111',
    'E123456',
    'zz',
    '-----BEGIN PRIVATE KEY-----',
    'PRIVATE KEY',
    'bearer ',
    'basic ',
    'null',
    '1e9',
    '\ud83d',
    '😀',
  ),
  fc.constantFrom(...SECRETS.map(({ text }) => text)),
);
const text = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''));
const jsonValue = fc.jsonValue({ stringUnit: 'binary', maxDepth: 4 });

/** One of the ways in which JSON may write a string. */
function written(value: string, how: 'plain' | 'escaped' | 'mixed'): string {
  if (how === 'plain') return JSON.stringify(value);
  const units = Array.from({ length: value.length }, (_, index) => value.charCodeAt(index));
  const escapes = units.map((unit, index) => {
    const plain = JSON.stringify(String.fromCharCode(unit)).slice(1, -1);
    if (how === 'mixed' && index % 3 !== 0) return plain;
    return unit === 0x2f ? '\\/' : `\\u${unit.toString(16).padStart(4, '0')}`;
  });
  return `"${escapes.join('')}"`;
}

/** The value with everything masked made equal, so that what else differs shows. */
function blurred(value: unknown): unknown {
  if (typeof value === 'string') return value.includes('[masked:') ? '*' : value;
  if (Array.isArray(value)) return value.map(blurred);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value).map(([name, below]) => [blurred(name), blurred(below)]);
}

describe('for every text', () => {
  it('masking does not throw, and what was masked is not masked again', () => {
    fc.assert(
      fc.property(text, (text) => {
        for (const mask of [masker.content, masker.value, (one: string) => masker.member('x', one)]) {
          const once = mask(text);
          expect(once.exceeded).toBe(false);
          if (once.masked === null) expect(once.text).toBe(text);
          expect(mask(once.text)).toEqual({ text: once.text, masked: null, exceeded: false });
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('no secret is left of any that stand in it apart', () => {
    const between = fc.constantFrom(' ', '\n', '"', '<', '(', '\t', ' x ', '; ');
    fc.assert(
      fc.property(
        fc.array(fc.tuple(between, fc.constantFrom(...SECRETS)), { minLength: 1, maxLength: 6 }),
        (parts) => {
          const text = `${parts.map(([separator, { text }]) => separator + text).join('')}"`;
          const { text: masked } = detectors.content(text);
          for (const [, { secret }] of parts) expect(masked).not.toContain(secret);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('the places of what is masked are the only ones that change', () => {
    fc.assert(
      fc.property(text, (text) => {
        const { text: masked, masked: counts } = detectors.value(text);
        const parts = masked.split(/\[masked:[a-z0-9-]+\]/);
        let from = 0;
        for (const part of parts) {
          const at = text.indexOf(part, from);
          expect(at).toBeGreaterThanOrEqual(from);
          from = at + part.length;
        }
        if (counts === null) expect(masked).toBe(text);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('for every JSON text', () => {
  it('the answer is JSON, equal but for what was masked', () => {
    fc.assert(
      fc.property(jsonValue, fc.constantFrom(0, 1, '\t'), (value, space) => {
        const text = JSON.stringify(value, null, space);
        const { text: masked, masked: counts } = masker.content(text);
        const parsed: unknown = JSON.parse(masked);
        if (counts === null) expect(masked).toBe(text);
        else expect(JSON.stringify(parsed)).not.toBe(JSON.stringify(value));
      }),
      { numRuns: 2000 },
    );
  });

  it('a secret is gone wherever it is put: as value, as name, within text, in any escapes, in JSON in strings', () => {
    const place = fc.record({
      secret: fc.constantFrom(...SECRETS),
      before: fc.constantFrom('', 'see ', 'x="', '\n', 'é '),
      after: fc.constantFrom('', ' ', '"', '\n', ', y', ' 東京'),
      how: fc.constantFrom('plain' as const, 'escaped' as const, 'mixed' as const),
      asName: fc.boolean(),
      nested: fc.nat(3),
      others: jsonValue,
    });
    fc.assert(
      fc.property(
        place,
        ({ secret: { text, secret, detector }, before, after, how, asName, nested, others }) => {
          const string = written(before + text + after, how);
          let json = asName
            ? `{${string}:${JSON.stringify(others)}}`
            : `{"v":[${JSON.stringify(others)},${string}]}`;
          for (let level = 0; level < nested; level += 1)
            json = `{"text":${written(json, how === 'mixed' ? 'plain' : how)}}`;
          const { text: masked, masked: counts } = detectors.content(json);
          let value: unknown = JSON.parse(masked);
          for (let level = 0; level < nested; level += 1)
            value = JSON.parse((value as { text: string }).text);
          expect(JSON.stringify(value)).not.toContain(JSON.stringify(secret).slice(1, -1));
          expect(JSON.stringify(blurred(value))).toContain('*');
          expect(counts?.some(({ rule }) => rule === detector)).toBe(true);
        },
      ),
      { numRuns: 1500 },
    );
  });

  it('beside the secret everything is as it was', () => {
    fc.assert(
      fc.property(jsonValue, jsonValue, fc.constantFrom(...SECRETS), (left, right, { text }) => {
        const before = detectors.content(JSON.stringify([left, right]));
        fc.pre(before.masked === null);
        const masked = detectors.content(JSON.stringify([left, text, right]));
        const [first, , last] = JSON.parse(masked.text) as unknown[];
        expect(JSON.stringify([first, last])).toBe(JSON.stringify([left, right]));
      }),
      { numRuns: 1000 },
    );
  });
});
