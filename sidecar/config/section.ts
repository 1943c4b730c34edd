/**
 * Owns how a mapping of the configuration is checked.
 * Invariant: an unknown key is refused, never ignored.
 */
import { z } from 'zod';

/** A mapping with these keys and no others. `expected` says what would be right where none stands. */
export const section = <Shape extends z.core.$ZodLooseShape>(
  shape: Shape,
  expected = 'a mapping of keys to values',
) => z.strictObject(shape, { error: expected });
