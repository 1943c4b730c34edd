/**
 * Owns how a request target is recorded.
 * Invariant: of a query only names and keyed hashes of session ids are kept; the path stays as it was.
 */
export interface RecordedTarget {
  target: string;
  /** How many values were masked. */
  masked: number;
}

export function recordedTarget(_target: string, _hashSession: (id: string) => string): RecordedTarget {
  throw new Error('not yet');
}

export function sessionIdOf(_target: string): string | null {
  throw new Error('not yet');
}
