/**
 * Owns what Ctrl-C does to a command that reads: the first one ends the reading, and what is known by then is printed; a second one ends
 * the process at once, as it does without this.
 */
import { EXIT } from './failure.ts';

export interface Interrupt {
  /** Aborted by the first Ctrl-C. */
  signal: AbortSignal;
  /** Ctrl-C is the system's again. */
  release(): void;
}

export function catchInterrupt(): Interrupt {
  const controller = new AbortController();
  const end = (): void => {
    process.exitCode = EXIT.interrupted;
    controller.abort();
  };
  process.once('SIGINT', end);
  return { signal: controller.signal, release: () => void process.off('SIGINT', end) };
}
