/**
 * Owns the sum of what was masked on one line, over body, headers and names.
 * Invariant: one entry for a rule; nothing is allocated while nothing is found.
 */
import type { Masked } from '@mcp-recorder/recording/format/line';

export class Tally {
  #counts: Masked[] | undefined;

  add(masked: readonly Masked[] | null | undefined): void {
    for (const { rule, count } of masked ?? NONE) {
      this.#counts ??= [];
      const known = this.#counts.find((entry) => entry.rule === rule);
      if (known === undefined) this.#counts.push({ rule, count });
      else known.count += count;
    }
  }

  /** For the `masked` of a line; undefined when nothing was. */
  get counts(): Masked[] | undefined {
    return this.#counts;
  }
}

const NONE: readonly Masked[] = [];
