/**
 * Text that streams past: whatever the pieces in which it comes, nothing of a secret is let through, and nothing waits without need.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TextStream } from '../../../sidecar/exchange/masking/masking.ts';
import { plantedSecrets } from '../../support/secrets.ts';
import { recordMasker, type Rule } from './support.ts';

const masker = recordMasker([{ kind: 'detectors', detectors: ['all'] }]);
const SECRETS = plantedSecrets(5, 124);

function streamed(stream: TextStream, pieces: readonly string[]): { text: string; withheld: number } {
  const answers = [...pieces.map((piece) => stream.push(piece)), stream.end()];
  return {
    text: answers.map(({ text }) => text).join(''),
    withheld: answers.reduce((sum, { withheld }) => sum + withheld, 0),
  };
}

function cut(text: string, size: number): string[] {
  return text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? [];
}

describe('a stream of text', () => {
  it.each(SECRETS.slice(0, 62))(
    'shows nothing of a secret of $detector, wherever it is cut',
    ({ text, secret }) => {
      const whole = `log line\nand then ${text} came by\nmore ${text}`;
      const expected = masker.value(whole).text;
      for (const size of [1, 2, 7, 63])
        expect(streamed(masker.stream(), cut(whole, size)).text).toBe(expected);
      for (let at = 1; at < secret.length; at += Math.ceil(secret.length / 40)) {
        const split = whole.indexOf(secret) + at;
        expect(streamed(masker.stream(), [whole.slice(0, split), whole.slice(split)]).text).toBe(expected);
      }
    },
  );

  it('lets text through as soon as no match may begin in it', () => {
    const stream = masker.stream();
    expect(stream.push('a line without anything\nanother ').text).toBe('a line without anything\n');
    const words = 'words and words and words and words and words and words and words. ';
    expect(stream.push(words).text.length).toBeGreaterThan(0);
    expect(stream.push('\n').text.endsWith('\n')).toBe(true);
  });

  it('withholds what is longer than the bound up to the end of its line, and goes on', () => {
    const key = `-----BEGIN ${'RSA'} PRIVATE KEY-----${'Ab3/'.repeat(3000)}`;
    const { text, withheld } = streamed(masker.stream(), cut(`before\n${key}\nafter\n`, 1000));
    expect(text).toBe('before\n\nafter\n');
    expect(withheld).toBe(key.length);
  });

  it('shows patterns each line whole', () => {
    const rules: Rule[] = [{ kind: 'pattern', name: 'note', pattern: 'note: .*!' }];
    const whole = 'x note: this goes on ! and on!\nnot note: this\n';
    for (const size of [1, 5, 100]) {
      expect(streamed(recordMasker(rules).stream(), cut(whole, size)).text).toBe(
        'x [masked:note]\nnot note: this\n',
      );
    }
  });

  it('is the same for all pieces', () => {
    const line = fc.array(
      fc.oneof(fc.string({ maxLength: 20 }), fc.constantFrom(...SECRETS.map(({ text }) => text))),
      { maxLength: 4 },
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 5 }), fc.nat({ max: 80 }), (lines, size) => {
        const whole = lines.map((parts) => parts.join(' ')).join('\n');
        const { text, withheld } = streamed(masker.stream(), cut(whole, size + 1));
        if (withheld === 0)
          for (const { secret } of SECRETS)
            if (!masker.value(whole).text.includes(secret)) expect(text).not.toContain(secret);
      }),
      { numRuns: 300 },
    );
  });
});
