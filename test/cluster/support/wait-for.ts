/** Owns waiting for what a cluster does in its own time: asked again until it is there, with a deadline. */
import { eventually } from '../../support/poll.ts';

export interface WaitOptions {
  /** From the first try, milliseconds. */
  deadlineMs: number;
  /** Between two tries, milliseconds; default: 200. */
  everyMs?: number;
}

/**
 * Asks until the answer is something.
 * @param description what is waited for, as the error says it: `the Deployment is ready`
 * @param attempt gives null or false while it is not there; what it throws counts as not there
 * @throws when the deadline has passed, with the description and what the last attempt threw
 */
export async function waitFor<T>(
  description: string,
  attempt: () => Promise<T | null | false>,
  { deadlineMs, everyMs = 200 }: WaitOptions,
): Promise<T> {
  try {
    const found = await eventually(
      async () => {
        const answer = await attempt();
        if (answer === null || answer === false) throw new Error('it was not so yet');
        return { answer };
      },
      { withinMs: deadlineMs, everyMs },
    );
    return found.answer;
  } catch (error) {
    throw new Error(`waited in vain until ${description}: ${(error as Error).message}`, { cause: error });
  }
}
