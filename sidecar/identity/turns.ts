/**
 * Owns that only so much of a kind is done at once; the rest waits its turn.
 * Invariant: work begins in the order in which it was asked for.
 */
export type Turns = <Result>(work: () => Promise<Result>) => Promise<Result>;

/** @param atOnce most that is under way */
export function createTurns(atOnce: number): Turns {
  let busy = 0;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (busy >= atOnce) await new Promise<void>((resolve) => waiting.push(resolve));
    else busy += 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) busy -= 1;
      else next();
    }
  };
}
