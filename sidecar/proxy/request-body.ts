/**
 * Owns the reading of request bodies: whole, bounded each and together.
 * Invariant: bytes held for all requests never pass the budget; what was taken is given back exactly once.
 */
import type { IncomingMessage } from 'node:http';

/** Memory for bodies in flight, shared by all exchanges. */
export interface MemoryBudget {
  /** Takes `bytes`; false when that would pass the limit (nothing is taken then). */
  take(bytes: number): boolean;
  give(bytes: number): void;
  readonly used: number;
}

/** @param limitBytes upper bound of what is taken at any time */
export function createMemoryBudget(limitBytes: number): MemoryBudget {
  let used = 0;
  return {
    take(bytes) {
      if (used + bytes > limitBytes) return false;
      used += bytes;
      return true;
    },
    give(bytes) {
      used -= bytes;
    },
    get used() {
      return used;
    },
  };
}

export type BodyOutcome =
  /** `bytes` is null when the request has no body at all. The bytes stay taken from the budget until given back. */
  { outcome: 'read'; bytes: Buffer | null } | { outcome: 'body_too_large' | 'memory' | 'client_closed' };

const NO_BODY: BodyOutcome = { outcome: 'read', bytes: null };

/** Reads the body of `request` and calls `done` once. On a refusal the rest of the body is left unread. */
export function readBody(
  request: IncomingMessage,
  maxBytes: number,
  budget: MemoryBudget,
  done: (outcome: BodyOutcome) => void,
): void {
  const length = request.headers['content-length'];
  if (length === undefined && request.headers['transfer-encoding'] === undefined) {
    done(NO_BODY);
    return;
  }
  if (length !== undefined && Number(length) > maxBytes) {
    done({ outcome: 'body_too_large' });
    return;
  }
  let taken = 0;
  let chunks: Buffer[] = [];
  let settled = false;

  function settle(outcome: BodyOutcome): void {
    if (settled) return;
    settled = true;
    if (outcome.outcome !== 'read') budget.give(taken);
    chunks = [];
    done(outcome);
  }
  function onData(bytes: Buffer): void {
    // The rest of a body that was refused is let run out (refuse.ts).
    if (settled) return;
    if (taken + bytes.length > maxBytes) {
      request.pause();
      settle({ outcome: 'body_too_large' });
    } else if (!budget.take(bytes.length)) {
      request.pause();
      settle({ outcome: 'memory' });
    } else {
      taken += bytes.length;
      chunks.push(bytes);
    }
  }
  function onEnd(): void {
    settle({ outcome: 'read', bytes: chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks) });
  }
  function onClose(): void {
    settle({ outcome: 'client_closed' });
  }
  request.on('data', onData);
  request.on('end', onEnd);
  request.on('close', onClose);
}
