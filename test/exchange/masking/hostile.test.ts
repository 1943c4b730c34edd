/**
 * Texts made to be slow: what each takes grows no faster than the text, so that one message never stops the others. Each of them took minutes, or
 * hundreds of megabytes, where it was looked at again for every piece of it; the runner's own time-out says so.
 */
import { expect, it } from 'vitest';
import { createTextUnits } from '../../../sidecar/exchange/text-units.ts';
import { recordMasker } from './support.ts';

const masker = recordMasker([
  { kind: 'detectors', detectors: ['all'] },
  { kind: 'pattern', name: 'employee', pattern: 'E[0-9]{6}' },
]);
const MiB = 1 << 20;

/** Of about so many characters. */
const repeated = (text: string, length: number): string => text.repeat(length / text.length);

it('markers beside what is found', () => {
  const { masked } = masker.content(JSON.stringify(repeated('[masked:employee] E123456 ', 4 * MiB)));
  expect(masked).toEqual([{ rule: 'employee', count: Math.floor((4 * MiB) / 26) }]);
});

it('a form of millions of pairs is given up', () => {
  expect(masker.content(`a=E123456${repeated('&', 4 * MiB)}`).exceeded).toBe(true);
});

it('a stream of text with keys that never end, or without line ends', () => {
  for (const text of ['-----BEGIN ', 'E123456 x']) {
    const units = createTextUnits({ streams: [masker.stream()], maxPendingBytes: 4 * MiB });
    const pieces = [...units.push(Buffer.from(repeated(text, 2 * MiB))), ...units.end()];
    expect(pieces.length).toBeGreaterThan(0);
  }
});
