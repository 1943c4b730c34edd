/**
 * Owns the memory of which call a later one goes on with: by the `requestState` or the task id that its answer gave out.
 * Invariant: bounded in number; holds hashes, never the server's opaque state itself; one caller's handles mean nothing for another.
 */
import { hash } from 'node:crypto';

export interface OperationLinks {
  remember(principal: string, kind: LinkKind, handle: string, operation: string): void;
  /** The operation whose answer gave out this handle, or null. */
  find(principal: string, kind: LinkKind, handle: string): string | null;
}

export type LinkKind = 'state' | 'task';

const MAX_LINKS = 10_000;

export function createOperationLinks(): OperationLinks {
  const operations = new Map<string, string>();

  return {
    remember(principal, kind, handle, operation) {
      const key = keyOf(principal, kind, handle);
      operations.delete(key);
      operations.set(key, operation);
      if (operations.size <= MAX_LINKS) return;
      for (const oldest of operations.keys()) {
        operations.delete(oldest);
        return;
      }
    },
    find(principal, kind, handle) {
      // Most processes never see such a handle, and then nothing needs to be hashed.
      return operations.size === 0 ? null : (operations.get(keyOf(principal, kind, handle)) ?? null);
    },
  };
}

function keyOf(principal: string, kind: LinkKind, handle: string): string {
  return hash('sha256', JSON.stringify([principal, kind, handle]), 'base64');
}
