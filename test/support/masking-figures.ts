/**
 * Owns how good the detectors are on the corpus: secrets that they must find, and look-alikes that they must leave.
 * Invariant: figures come from running all detectors together, as `detectors: [all]` does.
 */
import { compileMasking, DETECTORS } from '../../sidecar/exchange/masking/compile.ts';
import { lookAlikes } from './look-alikes.ts';
import { plantedSecrets } from './secrets.ts';

const SEED = 20_261_126;
const SECRETS_EACH = 100;
const LOOK_ALIKES_EACH = 100;

export interface Figures {
  /** Of one detector, or of all. */
  detector: string;
  /** Secrets of this kind, and how many of them are gone. */
  secrets: number;
  found: number;
  /** Markers of this detector that stand where no secret of its kind stood. */
  wrong: number;
}

/** The detectors by name, then the sum of all. */
export function measureDetectors(): Figures[] {
  const compiled = compileMasking({
    base64: false,
    rules: [{ kind: 'detectors', detectors: ['all'], appliesTo: 'Record' }],
  });
  if (!compiled.ok || compiled.masking.record === null) throw new Error('The detectors do not compile');
  const masker = compiled.masking.record;
  const figures = new Map(
    DETECTORS.map((detector) => [detector, { detector, secrets: 0, found: 0, wrong: 0 }]),
  );
  const of = (detector: string): Figures => figures.get(detector) as Figures;
  for (const { detector, text, secret } of plantedSecrets(SEED, SECRETS_EACH * DETECTORS.length)) {
    const masked = masker.content(`see ${text} there`);
    const markers = masked.masked ?? [];
    of(detector).secrets += 1;
    if (!masked.text.includes(secret) && markers.some(({ rule }) => rule === detector))
      of(detector).found += 1;
    for (const { rule, count } of markers) of(rule).wrong += rule === detector ? count - 1 : count;
  }
  for (const { text } of lookAlikes(SEED, LOOK_ALIKES_EACH)) {
    for (const { rule, count } of masker.content(text).masked ?? []) of(rule).wrong += count;
  }
  const each = [...figures.values()];
  const sum = (key: 'secrets' | 'found' | 'wrong') => each.reduce((total, one) => total + one[key], 0);
  return [...each, { detector: 'all', secrets: sum('secrets'), found: sum('found'), wrong: sum('wrong') }];
}

export function recallOf({ secrets, found }: Figures): number {
  return found / secrets;
}

export function precisionOf({ found, wrong }: Figures): number {
  return found / (found + wrong);
}

/** The figures as a table of Markdown. */
export function figuresTable(): string {
  const rows = measureDetectors().map((figures) => {
    const { detector, secrets, found, wrong } = figures;
    const name = detector === 'all' ? 'all together' : `\`${detector}\``;
    return `| ${name} | ${secrets} | ${found} | ${wrong} | ${recallOf(figures).toFixed(3)} | ${precisionOf(figures).toFixed(3)} |`;
  });
  const head = [
    '| Detector | Secrets | Found | Found wrongly | Recall | Precision |',
    '| --- | --- | --- | --- | --- | --- |',
  ];
  return [...head, ...rows].join('\n');
}
