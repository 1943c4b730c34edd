import { cutName, MAX_NAME_BYTES } from '@mcp-recorder/recording/format/cut';
import fc from 'fast-check';
import { expect, it } from 'vitest';

it('keeps what fits, and of the rest the longest beginning of whole characters', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 900 }), (text) => {
      const cut = cutName(text);
      expect(text.startsWith(cut)).toBe(true);
      const bytes = Buffer.byteLength(cut);
      expect(bytes).toBeLessThanOrEqual(MAX_NAME_BYTES);
      if (cut !== text) expect(bytes).toBeGreaterThan(MAX_NAME_BYTES - 4);
    }),
  );
});

it.each(['x', 'é', '€', '😀'])('cuts a long run of %s between characters', (character) => {
  const text = character.repeat(2_000);
  const cut = cutName(text);
  expect(Buffer.byteLength(cut)).toBe(MAX_NAME_BYTES - (MAX_NAME_BYTES % Buffer.byteLength(character)));
  expect(text.startsWith(cut)).toBe(true);
});
