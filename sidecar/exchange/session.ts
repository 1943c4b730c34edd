/**
 * Owns the names of sessions: sent by the protocol, or inferred from what a request carries.
 * Invariant: only keyed hashes come out; the same facts within the idle gap give the same name.
 */
import type { ClientInfo, Session } from '@mcp-recorder/recording/format/line';

export interface SessionFacts {
  mcpSessionId: string | null;
  sseSessionId: string | null;
  traceparent: string | null;
  clientInfo: ClientInfo | null;
  /** Stands for the principal; equal for the same caller. */
  principalKey: string;
  clientAddress: string;
}

export interface SessionNamer {
  /** `h:` + first 16 bytes, hex, of HMAC-SHA-256(key, id). */
  hash(id: string): string;
  name(facts: SessionFacts): Session;
}

export interface SessionNamerOptions {
  key: Buffer;
  idleGapMs?: number;
  maxSessions?: number;
  /** Milliseconds of any monotonic clock. */
  nowMs: () => number;
}

export function createSessionNamer(_options: SessionNamerOptions): SessionNamer {
  throw new Error('not yet');
}
