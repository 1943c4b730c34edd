/**
 * Owns the object that recorders put, conditionally, to see whether a store takes objects: it costs no new object after the first time.
 * Invariant: its bytes never change, so that every recorder finds its own.
 */
import { hash } from 'node:crypto';

export const CANARY_BYTES: Uint8Array = Buffer.from(
  'mcp-recorder puts this object to see whether the store takes objects.\n',
);
/** Hex. */
export const CANARY_SHA256 = hash('sha256', CANARY_BYTES, 'hex');
