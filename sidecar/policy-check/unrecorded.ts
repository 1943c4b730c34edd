/**
 * Owns what stands in the place of facts that recordings do not hold.
 * Invariant: a rule that reads one has no value, as CEL has it: unless the rest of it decides whatever the fact may have been. So a
 * decision that came out is the one that the recorder would have made.
 */

export interface Unrecorded {
  /** What was read of them since `forget`. */
  readonly read: readonly string[];
  forget(): void;
  /** An object or a list of this kind that nothing can be read from. @param name as rules write it */
  standIn<T extends object>(kind: T, name: string): T;
}

/** Thrown into an evaluation. */
class UnrecordedError extends Error {}

export function createUnrecorded(): Unrecorded {
  const read = new Set<string>();
  return {
    get read() {
      return [...read];
    },
    forget: () => read.clear(),
    standIn(kind, name) {
      const refuse = (): never => {
        read.add(name);
        throw new UnrecordedError(name);
      };
      return new Proxy(kind, { get: refuse, has: refuse, ownKeys: refuse, getOwnPropertyDescriptor: refuse });
    },
  };
}
