import { describe, expect, it } from 'vitest';
import type { MaskingRuleConfiguration } from '../../../sidecar/config/access.ts';
import { checkMasking, compileMasking } from '../../../sidecar/exchange/masking/compile.ts';
import { compiled } from './support.ts';

function problem(rule: object): string[] {
  return checkMasking({
    base64: false,
    rules: [{ appliesTo: 'Record', ...rule } as MaskingRuleConfiguration],
  }).map(({ key, index, message }) => `${key}${index === null ? '' : `[${index}]`} ${message}`);
}

describe('rules that are refused', () => {
  it.each([
    [{ kind: 'detectors', detectors: [] }, /^detectors is empty; known are all, 1password, /],
    [{ kind: 'detectors', detectors: ['all', 'gitub'] }, /^detectors\[1\] is no detector; known are all, /],
    [{ kind: 'keys', name: 'k', keys: [] }, /^keys is empty/],
    [{ kind: 'keys', name: 'k', keys: ['a', ''] }, /^keys\[1\] is empty/],
    [{ kind: 'keys', name: 'K', keys: ['a'] }, /^name must be a DNS label/],
    [{ kind: 'keys', name: 'jwt', keys: ['a'] }, /^name is the name of a detector/],
    [{ kind: 'keys', name: 'all', keys: ['a'] }, /^name is the name of a detector/],
    [{ kind: 'paths', name: 'p', paths: [] }, /^paths is empty/],
    [{ kind: 'paths', name: 'p', paths: ['params'] }, /^paths\[0\] .* at character 1 it must begin with \$/],
    [{ kind: 'paths', name: 'p', paths: ['$'] }, /at character 2 something of the message must be named/],
    [{ kind: 'paths', name: 'p', paths: ['$.a[?(@.b)]'] }, /at character 4 .*filters/],
    [{ kind: 'paths', name: 'p', paths: ['$.a[1:2]'] }, /at character 4 .*slices/],
    [{ kind: 'paths', name: 'p', paths: ['$.a[-1]'] }, /at character 4 .*negative indexes/],
    [{ kind: 'paths', name: 'p', paths: ["$['a','b']"] }, /at character 2 the name must end/],
    [{ kind: 'paths', name: 'p', paths: ['$.a.'] }, /at character 5 a name must follow/],
    [{ kind: 'paths', name: 'p', paths: ['$.a b'] }, /at character 4 a dot or a bracket must follow/],
    [
      { kind: 'pattern', name: 'p', pattern: 'ab(c' },
      /^pattern is no RE2 pattern: missing closing \) at character/,
    ],
    [{ kind: 'pattern', name: 'p', pattern: 'ab[z-a]' }, /invalid character class range at character 4$/],
    [{ kind: 'pattern', name: 'p', pattern: '(a)\\1' }, /invalid escape sequence at character 4$/],
    [{ kind: 'pattern', name: 'p', pattern: 'a(?=b)' }, /at character 2$/],
    [{ kind: 'pattern', name: 'p', pattern: 'a*' }, /^pattern matches the empty text/],
    [{ kind: 'pattern', name: 'p', pattern: '' }, /^pattern matches the empty text/],
    [{ kind: 'pattern', name: 'p', pattern: '\\b|^$' }, /^pattern matches the empty text/],
    [{ kind: 'pattern', name: 'p', pattern: '[a-z]{900}[0-9]{900}' }, /^pattern is too large/],
    [{ kind: 'pattern', name: 'p', pattern: 'a'.repeat(1001) }, /^pattern is longer than 1000 characters$/],
  ])('%j', (rule, message) => {
    expect(problem(rule)).toEqual([expect.stringMatching(message)]);
  });

  it('are all told at once, with their places', () => {
    const result = compileMasking({
      base64: false,
      rules: [
        { kind: 'keys', name: 'one', keys: ['a'], appliesTo: 'Record' },
        { kind: 'keys', name: 'one', keys: ['b'], appliesTo: 'Wire' },
        { kind: 'pattern', name: 'two', pattern: '(', appliesTo: 'Both' },
      ],
    });
    if (result.ok) throw new Error('was accepted');
    expect(result.problems.map(({ rule, key }) => [rule, key])).toEqual([
      [1, 'name'],
      [2, 'pattern'],
    ]);
  });
});

describe('targets', () => {
  it('have no masker when no rule is for them', () => {
    expect(compiled([])).toEqual({ record: null, wire: null });
    expect(compiled([{ kind: 'keys', name: 'k', keys: ['a'], appliesTo: 'Record' }]).wire).toBeNull();
    expect(compiled([{ kind: 'keys', name: 'k', keys: ['a'], appliesTo: 'Wire' }]).record).toBeNull();
  });

  it('have the rules that are for them', () => {
    const { record, wire } = compiled([
      { kind: 'keys', name: 'r', keys: ['record'], appliesTo: 'Record' },
      { kind: 'keys', name: 'w', keys: ['wire'], appliesTo: 'Wire' },
      { kind: 'keys', name: 'b', keys: ['both'], appliesTo: 'Both' },
    ]);
    const text = '{"record":1,"wire":2,"both":3}';
    expect(record?.content(text).text).toBe('{"record":"[masked:r]","wire":2,"both":"[masked:b]"}');
    expect(wire?.content(text).text).toBe('{"record":1,"wire":"[masked:w]","both":"[masked:b]"}');
  });
});
