/**
 * Owns what the end of an exchange says about the calls in it that have no answer.
 * Invariant: an outcome is only what was seen; where an answer may still come, or passed unread, nothing is claimed.
 */
import type { EndHow, Outcome } from '@mcp-recorder/recording/format/line';

/** How an exchange ended, as far as its open calls are concerned. */
export interface ExchangeEnding {
  how: EndHow;
  /** Protocol revision of the exchange, when known. */
  protocol: string | null;
  /** HTTP status, null when there was none. */
  status: number | null;
  /** The answer was above the bound for parsing. */
  tooLarge: boolean;
  answeredBy: 'server' | 'recorder';
}

export interface Conclusion {
  outcome: Outcome;
  cause: string | null;
}

/** From this revision on a response stream that is closed takes its call with it; before, answers may come elsewhere. */
const STATELESS_SINCE = '2026-07-28';

/**
 * Judges a client's call.
 * @param cancelRequested the client sent `notifications/cancelled` for the call
 * @returns null when the answer may still come in another exchange
 */
export function conclusionOf(ending: ExchangeEnding, cancelRequested: boolean): Conclusion | null {
  const { how, protocol, status, tooLarge, answeredBy } = ending;
  if (how === 'denied') return { outcome: 'denied', cause: null };
  if (answeredBy === 'recorder') {
    return { outcome: 'error', cause: status === null ? how : `http_${status}` };
  }
  if (tooLarge) return { outcome: 'unknown', cause: 'too_large' };
  if (status !== null && status >= 400) return { outcome: 'error', cause: `http_${status}` };
  // 202 promises an answer on another stream (MCP 2024-11-05), cancelled or not.
  if (cancelRequested && status !== 202) return { outcome: 'cancelled', cause: 'cancel_requested' };
  if (protocol === null || protocol < STATELESS_SINCE) return null;
  if (how === 'client_closed') return { outcome: 'cancelled', cause: how };
  // A complete answer that did not contain the call's result may have been one that could not be read.
  return how === 'complete' ? { outcome: 'unknown', cause: 'no_answer' } : { outcome: 'error', cause: how };
}
