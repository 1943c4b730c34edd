/**
 * Owns what is recorded of the `endpoint` event that opens an HTTP+SSE stream (MCP 2024-11-05).
 * Invariant: the session id in it is recorded as keyed hash only.
 */
export interface RecordedEndpoint {
  data: string;
  /** Origin when the server named one: the client would go around the recorder. */
  absoluteOrigin: string | null;
}

export function maskEndpoint(_data: string, _hashSession: (id: string) => string): RecordedEndpoint {
  throw new Error('not yet');
}
