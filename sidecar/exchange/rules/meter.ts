/**
 * Owns the work that rules may do for one request.
 * Invariant: what grows with the request is paid for before it is done, by one pass over its operands at most; who can't pay stops.
 */

/** Most units of work for all rules and all messages of one request. A unit is some 10 ns, so this is about 100 ms. */
export const MAX_COST = 10_000_000;

/** Thrown where the work would go past the limit. One object: making errors would be work too. */
export const COST_EXCEEDED = new Error('The rules may not do more work for one request');

export class Meter {
  #left = MAX_COST;

  /** Begins a request. */
  refill(): void {
    this.#left = MAX_COST;
  }

  /** @throws COST_EXCEEDED, from then on at every call */
  spend(units: number): void {
    this.#left -= units;
    if (this.#left < 0) throw COST_EXCEEDED;
  }

  /** Operators that forgive errors (`||`, `exists`) must not forgive this one. */
  get exceeded(): boolean {
    return this.#left < 0;
  }
}
