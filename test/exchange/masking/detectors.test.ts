/**
 * The detectors on a corpus of secrets and of look-alikes. The figures are printed, and those in docs/masking.md are held to them.
 */
import fs from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { maskingPage } from '../../../scripts/masking-page.ts';
import { DETECTORS } from '../../../sidecar/exchange/masking/compile.ts';
import { OWN_DETECTORS } from '../../../sidecar/exchange/masking/own-detectors.ts';
import { presetDetectors } from '../../../sidecar/exchange/masking/preset-detectors.ts';
import { lookAlikes } from '../../support/look-alikes.ts';
import { figuresTable, measureDetectors, precisionOf, recallOf } from '../../support/masking-figures.ts';
import { cardNumber, plantedSecrets, randomFrom, SECRETS } from '../../support/secrets.ts';
import { recordMasker } from './support.ts';

const masker = recordMasker([{ kind: 'detectors', detectors: ['all'] }]);

describe('the detectors', () => {
  it('are those that are named, and each has secrets in the corpus', () => {
    const made = [...presetDetectors(), ...OWN_DETECTORS].map(({ name }) => name);
    expect([...new Set(made)].sort()).toEqual([...DETECTORS]);
    expect(Object.keys(SECRETS).sort()).toEqual([...DETECTORS]);
  });

  it('find what they should and little else', () => {
    console.log(figuresTable());
    for (const figures of measureDetectors()) {
      expect(recallOf(figures), `recall of ${figures.detector}`).toBe(1);
      // Digits of which one in ten has the right check digit can't be told from a card.
      expect(precisionOf(figures), `precision of ${figures.detector}`).toBeGreaterThanOrEqual(
        figures.detector === 'card-number' ? 0.75 : 0.98,
      );
    }
  });

  it('are as good as docs/masking.md says (npm run generate)', async () => {
    const page = await fs.readFile(path.join(import.meta.dirname, '../../../docs/masking.md'), 'utf8');
    expect(page).toBe(maskingPage());
  });

  it('cover the secret and nothing beside it', () => {
    for (const { detector, text, secret } of plantedSecrets(7, 310)) {
      const masked = masker.content(`<${text}> and more`).text;
      expect(masked, detector).toBe(
        `<${text.replace(secret, `[masked:${detector}]`).replace('app:[', '[')}> and more`,
      );
    }
  });

  it('mean only those that are asked for', () => {
    const github = recordMasker([{ kind: 'detectors', detectors: ['github'] }]);
    for (const { detector, text } of plantedSecrets(8, 310)) {
      const { masked } = github.content(text);
      if (detector === 'github') expect(masked).toEqual([{ rule: 'github', count: 1 }]);
      else expect(masked, detector).toBeNull();
    }
  });

  it('leave a look-alike as the same string', () => {
    const untouched = lookAlikes(3, 20).filter(({ text }) => masker.content(text).masked === null);
    for (const { text } of untouched) expect(masker.content(text).text).toBe(text);
    expect(untouched.length).toBeGreaterThan(900);
  });
});

describe('a megabyte made for the detectors', () => {
  it.each([
    'ghs_1_aaaaaaaa.',
    '4111 ',
    'eyJhbGciOiJ ',
    'eyJhbGciOiJ',
    '-----BEGIN PRIVATE KEY-----A',
    'https://aaaaaaaa:bbbbbbbb@',
    'xoxb-a-',
    'SG.aaaaaaaaaaaa',
    'secret_access_key=',
    'bearer aaaaaaaaaaaa ',
    'T3BlbkFJ',
    '%41',
    '\\\\u0041',
    '[',
    '{\\"a\\":',
  ])('of %j is masked or given up', (unit) => {
    for (const text of [
      unit.repeat(1_000_000 / unit.length),
      `{"text":"${unit.repeat(1_000_000 / unit.length)}"}`,
    ]) {
      const { text: masked, exceeded } = masker.content(text);
      expect(masked.length > 0).toBe(!exceeded);
    }
  });
});

describe('card numbers', () => {
  const card = cardNumber(randomFrom(1), '4', 16);
  const grouped = (separator: string) => (card.match(/.{4}/g) as string[]).join(separator);

  it.each([
    card,
    grouped(' '),
    grouped('-'),
    `${card}.`,
    `(${card})`,
    `${grouped(' ')} 12/27`,
    `${grouped(' ')} 123`,
    `2 ${grouped(' ')}`,
    `${grouped(' ')} ${grouped(' ')}`,
  ])('are found in %j', (text) => {
    expect(masker.content(text).text).not.toMatch(/\d{4}/);
  });

  it.each([
    card.slice(0, -1) + ((Number(card.at(-1)) + 1) % 10),
    `0.${card}`,
    `${card}.25`,
    `a${card}`,
    `${card}b`,
    `${card}${card}`,
    `${card.slice(0, 3)} ${card.slice(3)}`,
    grouped(' ').replace(' ', '-'),
    grouped('  '),
    grouped('.'),
  ])('are not found in %j', (text) => {
    expect(masker.content(text).masked).toBeNull();
  });
});
