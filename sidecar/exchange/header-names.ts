/**
 * Owns what a header's name says about it: whether its value is recorded, and whether it belongs to one connection.
 * Invariant: a header that is not named here is recorded by name only, and travels on.
 */
const RECORDED = new Set([
  'accept',
  'accept-encoding',
  'allow',
  'cache-control',
  'connection',
  'content-encoding',
  'content-language',
  'content-length',
  'content-type',
  'date',
  'expect',
  'host',
  'last-event-id',
  'mcp-method',
  'mcp-name',
  'mcp-protocol-version',
  'origin',
  'retry-after',
  'server',
  'te',
  'traceparent',
  'trailer',
  'transfer-encoding',
  'user-agent',
  'vary',
  'x-accel-buffering',
]);

/** How a header's value is recorded: as it is, as the keyed hash of a session id, or not at all. */
export type ValueRecording = 'value' | 'session' | 'none';

/** @param name in lower case */
export function valueRecording(name: string): ValueRecording {
  if (name === 'mcp-session-id') return 'session';
  return RECORDED.has(name) || name.startsWith('access-control-') ? 'value' : 'none';
}

/** RFC 9110 7.6.1; `Expect` is answered by the recorder itself, `HTTP2-Settings` belongs to an upgrade. */
const OF_ONE_CONNECTION = new Set([
  'connection',
  'expect',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

/** @param name in lower case */
export function isOfOneConnection(name: string): boolean {
  return OF_ONE_CONNECTION.has(name);
}
