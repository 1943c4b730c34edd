/**
 * Owns the names of sessions: sent by the protocol, or inferred from what a request carries.
 * Invariant: only keyed hashes come out; the same facts within the idle gap give the same name; memory is bounded.
 */
import { createHmac } from 'node:crypto';
import type { ClientInfo, Session, SessionHow } from '@mcp-recorder/recording/format/line';
import { createRecentCache } from './recent-cache.ts';

export interface SessionFacts {
  /** Value of the `Mcp-Session-Id` header (MCP 2025-03-26 and later). */
  mcpSessionId: string | null;
  /** Session id in the query, or in the `endpoint` event (MCP 2024-11-05). */
  sseSessionId: string | null;
  /** W3C Trace Context. */
  traceparent: string | null;
  clientInfo: ClientInfo | null;
  /** Stands for the principal; equal for the same caller. */
  principalKey: string;
  clientAddress: string;
}

export interface SessionNamer {
  /** `h:` + first 16 bytes, hex, of HMAC-SHA-256(key, id). */
  hash(id: string): string;
  /** The session that a request belongs to, by the strongest fact that it carries. */
  name(facts: SessionFacts): Session;
}

export interface SessionNamerOptions {
  /** Shared by all recorders of a server, so that they give the same names. */
  key: Buffer;
  /** Inferred sessions end after this much silence (milliseconds). */
  idleGapMs?: number;
  /** Most names and most inferred sessions that are remembered. */
  maxSessions?: number;
  /** Milliseconds since the epoch: the beginning of an inferred session is part of its name, over restarts too. */
  nowMs: () => number;
}

/** Ids longer than any that servers make are hashed anew each time: a client could fill the memory with them. */
const MAX_CACHED_CHARACTERS = 256;

interface Inferred {
  session: Session;
  lastSeenMs: number;
}

/** Makes the namer of one server's sessions. */
export function createSessionNamer(options: SessionNamerOptions): SessionNamer {
  const { key, nowMs, idleGapMs = 30 * 60_000, maxSessions = 10_000 } = options;
  const hashes = createRecentCache<string>(maxSessions);
  const inferred = createRecentCache<Inferred>(maxSessions);

  function hash(id: string): string {
    const known = hashes.get(id);
    if (known !== undefined) return known;
    const made = `h:${createHmac('sha256', key).update(id, 'utf8').digest('hex').slice(0, 32)}`;
    if (id.length <= MAX_CACHED_CHARACTERS) hashes.set(id, made);
    return made;
  }

  /** A session without an id of its own is named by its facts and by when it began, so that a later one is another. */
  function infer(how: SessionHow, facts: string[]): Session {
    const now = nowMs();
    const caller = JSON.stringify([how, ...facts]);
    const known = inferred.get(caller);
    if (known !== undefined && now - known.lastSeenMs <= idleGapMs) {
      known.lastSeenMs = now;
      return known.session;
    }
    const session = { id: hash(`${caller} ${now}`), how };
    inferred.set(caller, { session, lastSeenMs: now });
    return session;
  }

  return {
    hash,
    name(facts) {
      const { mcpSessionId, sseSessionId, clientInfo, principalKey, clientAddress } = facts;
      if (mcpSessionId !== null) return { id: hash(mcpSessionId), how: 'mcp-session-id' };
      if (sseSessionId !== null) return { id: hash(sseSessionId), how: 'sse-endpoint' };
      const traceId = traceIdOf(facts.traceparent);
      if (traceId !== null) return { id: hash(traceId), how: 'trace' };
      if (clientInfo === null) return infer('address', [principalKey, clientAddress]);
      const { name, version } = clientInfo;
      return infer('client-info', [principalKey, name, version ?? '', clientAddress]);
    },
  };
}

/** W3C Trace Context 3.2.2: 32 hex digits, not all zero, after a version that is not `ff`. */
function traceIdOf(traceparent: string | null): string | null {
  if (traceparent === null) return null;
  const found = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}/.exec(
    traceparent,
  );
  return found === null ? null : (found[1] as string);
}
