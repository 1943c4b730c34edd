/**
 * Owns what the proxy does about the first event of an HTTP+SSE stream, which names its session (MCP 2024-11-05).
 * Invariant: the id is recorded as keyed hash only.
 */
import { maskEndpoint } from '../exchange/sse-endpoint.ts';
import { sessionIdOf } from '../exchange/target.ts';
import { maskedName } from '../exchange/masking/names.ts';
import type { Exchange } from './exchange.ts';

/** Names the session by the event's data; gives the data as it is recorded. */
export function recordEndpoint(exchange: Exchange, data: string): string {
  const { masker, context } = exchange;
  const { sessions, metrics, warn } = context;
  const endpoint = maskEndpoint(data, sessions.hash);
  const sessionId = sessionIdOf(data);
  if (sessionId !== null) exchange.nameSession({ sseSessionId: sessionId });
  if (endpoint.absoluteOrigin !== null) {
    metrics.endpointAlarm();
    warn('the server sends its clients to another origin, around the recorder', {
      origin: maskedName(masker, endpoint.absoluteOrigin, null),
      exchange: exchange.id,
      hint: 'make the server name a path, not a URL, in its endpoint event',
    });
  }
  return endpoint.data;
}
