/**
 * Owns the accounting of a body that is held until a unit of it is complete: bytes against the shared budget, and time.
 * Invariant: what was taken from the budget is given back exactly once, whatever becomes of the body.
 */
import type { MemoryBudget } from './request-body.ts';

/** How much of a unit is held, and for how long. */
export interface HoldBounds {
  maxBytes: number;
  maxMs: number;
}

export const HOLD_BOUNDS: HoldBounds = { maxBytes: 4 * 1024 * 1024, maxMs: 5_000 };

export class Hold {
  readonly #budget: MemoryBudget;
  readonly #maxMs: number;
  readonly #onLate: () => void;
  #taken = 0;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  /** @param onLate called when something has been held too long */
  constructor(budget: MemoryBudget, maxMs: number, onLate: () => void) {
    this.#budget = budget;
    this.#maxMs = maxMs;
    this.#onLate = onLate;
  }

  /**
   * So many bytes are held from here on.
   * @param anew they belong to another unit than what was held before
   * @returns false when the budget does not give that many: what it gave before stays taken
   */
  set(bytes: number, anew: boolean): boolean {
    if (this.#closed) return true;
    const more = bytes - this.#taken;
    const given = more <= 0 || this.#budget.take(more);
    if (more < 0) this.#budget.give(-more);
    if (given) this.#taken = bytes;
    if ((anew || bytes === 0) && this.#timer !== null) {
      clearTimeout(this.#timer);
      this.#timer = null;
    }
    if (bytes > 0) this.#timer ??= setTimeout(() => this.#late(), this.#maxMs);
    return given;
  }

  close(): void {
    this.set(0, true);
    this.#closed = true;
  }

  #late(): void {
    this.#timer = null;
    this.#onLate();
  }
}
