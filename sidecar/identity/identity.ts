/**
 * Owns the question who calls, as the proxy puts it: by the head of a request, before a byte of its body is read.
 * Invariant: every request gets one answer; nothing in an answer holds a piece of the token.
 */
import type { Caller } from '../exchange/caller.ts';

/** The head of a request. */
export interface RequestHead {
  method: string;
  /** Request target as it stood on the request line. */
  target: string;
  rawHeaders: readonly string[];
}

export type IdentityRefusal =
  | 'no_token'
  | 'invalid_token'
  | 'insufficient_scope'
  | 'issuer_unavailable'
  | 'forbidden_origin';

export type Identified =
  | { verdict: 'pass'; caller: Caller }
  /** Words of the recorder's own that need no caller: protected resource metadata (RFC 9728), a CORS preflight. */
  | { verdict: 'answer'; status: number; headers: Record<string, string>; body: string }
  | {
      verdict: 'refuse';
      reason: IdentityRefusal;
      /** For the client, without anything of the token. */
      message: string;
      /** `WWW-Authenticate` and what CORS needs. */
      headers: Record<string, string>;
      /** Body in place of the JSON-RPC error of the table (RFC 6750 has one of its own); null: the table's. */
      body: string | null;
      caller: Caller | null;
    };

/** How one issuer does, for status and metrics. */
export interface IssuerHealth {
  issuer: string;
  state: 'Ok' | 'Stale' | 'Unavailable';
  /** Milliseconds since its keys were fetched; null when they never were, or are given. */
  keysAgeMs: number | null;
  /** Why the last fetch failed; null when it did not. */
  problem: string | null;
  /** Since when (epoch ms). */
  sinceMs: number;
}

export interface Identity {
  /** Never throws and never rejects. Answers at once when it has seen the token before. */
  identify(head: RequestHead): Identified | Promise<Identified>;
  readonly issuers: readonly IssuerHealth[];
  close(): void;
}
