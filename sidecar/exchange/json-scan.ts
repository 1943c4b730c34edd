/**
 * Owns the reading of JSON-RPC envelopes from untrusted text, without building the values.
 * Invariant: accepts exactly what RFC 8259 allows, in constant stack, and names every place where another parser may read the envelope differently.
 */
import type { Ambiguity, ClientInfo } from '@mcp-recorder/recording/format/line';

/** What the recorder reads from one JSON-RPC message; absent facts are null or false. Nothing here keeps the scanned text alive. */
export interface Message {
  kind: 'request' | 'notification' | 'response' | 'other';
  /** JSON text of the id as in the source (`"7"`, `7`, `null`, `{"a":1}`); null when there is no id. */
  rpcId: string | null;
  method: string | null;
  /** Tool, prompt, resource or task that the call is about. */
  target: string | null;
  protocolVersion: string | null;
  clientInfo: ClientInfo | null;
  traceparent: string | null;
  requestState: string | null;
  taskId: string | null;
  /** JSON text of `params.requestId` of `notifications/cancelled`. */
  cancelledRequestId: string | null;
  isError: boolean;
  hasError: boolean;
  errorCode: number | null;
  resultType: string | null;
  hasTask: boolean;
}

export interface ScanLimits {
  maxMessages: number;
}

export type ScanResult =
  | { ok: true; batch: boolean; messages: Message[]; ambiguous: Ambiguity[] }
  | { ok: false; reason: 'malformed_json' | 'too_many_messages'; offset: number };

export function scanMessages(_text: string, _limits?: ScanLimits): ScanResult {
  throw new Error('not yet');
}
