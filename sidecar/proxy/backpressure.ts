/**
 * Owns how far a server may be ahead of its client.
 * Invariant: what was read from the server and not yet taken by the client's socket stays near a bound, units that are held on purpose aside.
 */
import type { ServerResponse } from 'node:http';
import type { UpstreamCall } from './upstream.ts';

/** Bytes read from the server and not yet taken by the client's socket, above which the server is made to wait. */
const PAUSE_BYTES = 512 * 1024;

export class Backpressure {
  readonly #response: ServerResponse;
  #heldBytes = 0;
  #paused = false;
  /** Bytes that the client's socket has not drained yet; null when it takes more at once. */
  #undrained: number | null = null;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  hold(bytes: number): void {
    this.#heldBytes += bytes;
  }

  /** Makes the server wait, or go on. @param waiting bytes that wait for more of the server's own */
  weigh(call: UpstreamCall | null, waiting: number): void {
    const bytes = this.#heldBytes - waiting;
    if (!this.#paused && bytes > PAUSE_BYTES) {
      this.#paused = true;
      call?.pause();
    } else if (this.#paused && bytes <= PAUSE_BYTES / 2) {
      this.#paused = false;
      call?.resume();
    }
  }

  /**
   * What stands for these bytes was written to the client's socket: they are let go of when it has taken them.
   * @param then called when they are
   */
  let(bytes: number, then: () => void): void {
    if (this.#undrained !== null) this.#undrained += bytes;
    else if (!this.#response.writableNeedDrain) this.#drained(bytes, then);
    else {
      this.#undrained = bytes;
      this.#response.once('drain', () => {
        const all = this.#undrained ?? 0;
        this.#undrained = null;
        this.#drained(all, then);
      });
    }
  }

  #drained(bytes: number, then: () => void): void {
    this.#heldBytes -= bytes;
    then();
  }
}
