/**
 * Owns what is recorded of the `endpoint` event that opens an HTTP+SSE stream (MCP 2024-11-05).
 * Invariant: the session id in it is recorded as keyed hash only; what the client gets is not touched here.
 */
import { recordedTarget } from './target.ts';

export interface RecordedEndpoint {
  /** The event's data for the record. */
  data: string;
  /** Origin when the server named one: the client would go around the recorder. */
  absoluteOrigin: string | null;
}

/** @param data a URI reference, as the server sent it */
export function maskEndpoint(data: string, hashSession: (id: string) => string): RecordedEndpoint {
  const reference = data.trim();
  const { target } = recordedTarget(reference, hashSession);
  return { data: data.replace(reference, () => target), absoluteOrigin: originOf(target) };
}

/** Browsers and SDKs read a reference with two slashes or backslashes in front as another authority (WHATWG URL). */
function originOf(reference: string): string | null {
  if (!/^(?:[a-z][a-z0-9+.-]*:|[\\/]{2})/i.test(reference)) return null;
  try {
    const { host, protocol } = new URL(reference, 'http://relative.invalid');
    return reference.includes(':') && !/^[\\/]/.test(reference) ? `${protocol}//${host}` : `//${host}`;
  } catch {
    return reference;
  }
}
