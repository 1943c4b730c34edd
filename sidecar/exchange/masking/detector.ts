/**
 * Owns what a detector is: a kind of secret that its own form gives away.
 * Invariant: a detector looks only at pieces of the text around its triggers, so a text without triggers costs it nothing.
 */

export interface Detector {
  /** As configured, and as the marker says it. */
  name: string;
  /** One of them stands in every secret of this kind (notation: triggers.ts). */
  triggers: readonly string[];
  /** Characters before the end of a trigger, and behind it, in which a secret and its neighbours lie. */
  before: number;
  after: number;
  /** Most characters that may be looked at for one trigger, again and again ones included. */
  cost: number;
  /** Reports the secrets of a piece of text. */
  find(text: string, report: Report): void;
  /** Whether the value of a member of this name is a secret by name and form together. */
  named?: (name: string, value: string) => boolean;
}

/** From the first character of a secret to behind its last. */
export type Report = (start: number, end: number) => void;

/** A detector of what a regular expression matches, or of its first group. Its repetitions must be bounded. */
export function byPattern(detector: Omit<Detector, 'find'> & { pattern: RegExp }): Detector {
  const pattern = new RegExp(detector.pattern, `${detector.pattern.flags}d`);
  return { ...detector, find: (text, report) => reportMatches(text, pattern, report) };
}

/** @param pattern with the flags `g` and `d` */
export function reportMatches(text: string, pattern: RegExp, report: Report): void {
  for (const match of text.matchAll(pattern)) {
    const indices = match.indices as RegExpIndicesArray;
    const [start, end] = (indices[1] ?? indices[0]) as [number, number];
    report(start, end);
  }
}
