/**
 * Owns the decision whether a request may be understood as what it claims to be.
 * Invariant: what passes is one unambiguous text for the recorder, and its routing headers agree with its body.
 */
import type { Ambiguity } from '@mcp-recorder/recording/format/line';
import type { Message } from './json-scan.ts';
import type { RefusalReason } from './refusals.ts';

export interface RequestInput {
  method: string;
  contentType: string | null;
  /** Null when the bytes are no text that can be read in one way (body-text.ts). */
  text: string | null;
  headers: { mcpMethod: string | null; mcpName: string | null };
}

export type Classification =
  | { verdict: 'pass'; messages: Message[]; batch: boolean; ambiguous: Ambiguity[] }
  | { verdict: 'refuse'; reason: RefusalReason; rpcIds: string[]; batch: boolean; message: string };

export function classifyRequest(_input: RequestInput): Classification {
  throw new Error('not yet');
}

/** True for `application/json` and every `+json` type, parameters ignored (RFC 6839 3.1). */
export function isJsonContentType(_contentType: string | null): boolean {
  throw new Error('not yet');
}
