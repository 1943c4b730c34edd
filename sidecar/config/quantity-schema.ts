/**
 * Owns durations and sizes as keys of the configuration.
 * Invariant: the value is a whole number of milliseconds or bytes, within the bounds of its key.
 */
import { z } from 'zod';
import {
  DURATION_EXPECTED,
  DURATION_PATTERN,
  parseDuration,
  parseSize,
  type Quantity,
  SIZE_EXPECTED,
  SIZE_PATTERN,
} from './quantity.ts';

/** A bound as a value and as it is written. */
export type Bound = readonly [value: number, text: string];

/** Text that `parse` reads, within bounds; issues say what would be right. */
function reading(parse: (text: string) => Quantity, least: Bound, most: Bound | null) {
  return (given: string | number, context: z.core.$RefinementCtx) => {
    const read = parse(String(given));
    const isLess = read.ok && read.value < least[0];
    const isMore = read.ok && most !== null && read.value > most[0];
    if (read.ok && !isLess && !isMore) return read.value;
    context.addIssue(
      !read.ok ? read.expected : isLess || most === null ? `at least ${least[1]}` : `at most ${most[1]}`,
    );
    return z.NEVER;
  };
}

export const size = (atLeast: number, least: string) =>
  z
    .union(
      [
        z.string().regex(SIZE_PATTERN, { error: SIZE_EXPECTED }),
        z.int({ error: SIZE_EXPECTED }).nonnegative({ error: SIZE_EXPECTED }),
      ],
      { error: SIZE_EXPECTED },
    )
    .transform(reading(parseSize, [atLeast, least], null));

export const duration = (least: Bound, most: Bound | null = null) =>
  z
    .string({ error: DURATION_EXPECTED })
    .regex(DURATION_PATTERN, { error: DURATION_EXPECTED })
    .transform(reading(parseDuration, least, most));
