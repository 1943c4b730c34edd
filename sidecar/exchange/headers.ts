/**
 * Owns which headers are recorded with their value, and which travel on to the other side.
 * Invariant: a value that is not on the allow-list never leaves this file; end-to-end headers keep order, duplicates and spelling.
 */
import type { RecordedHeader } from '@mcp-recorder/recording/format/line';

/** Turns a session id into its keyed hash (session.ts). */
export type HashSession = (id: string) => string;

export function recordedHeaders(_raw: readonly string[], _hashSession: HashSession): RecordedHeader[] {
  throw new Error('not yet');
}

export function encodeRecordedHeaders(_raw: readonly string[], _hashSession: HashSession): string {
  throw new Error('not yet');
}

export function endToEndHeaders(_raw: readonly string[], _direction: 'request' | 'response'): string[] {
  throw new Error('not yet');
}
