/**
 * Owns the decision whether a request may be understood as what it claims to be.
 * Invariant: what passes has one reading, and its routing headers agree with its body.
 */
import { Buffer, isUtf8 } from 'node:buffer';
import type { Ambiguity } from '@mcp-recorder/recording/format/line';
import { type Message, scanMessages } from './json-scan.ts';
import type { RefusalReason } from './refusals.ts';

export interface RequestInput {
  /** HTTP method. */
  method: string;
  contentType: string | null;
  hasBody: boolean;
  /** Null when there is no body, or its bytes are no text that can be read in one way only (body-text.ts). */
  text: string | null;
  headers: { mcpMethod: string | null; mcpName: string | null };
}

export type Classification =
  | {
      verdict: 'pass';
      messages: Message[];
      batch: boolean;
      ambiguous: Ambiguity[];
      /** False: there is a body, and it was not read as JSON in UTF-8, though a server might read it. */
      readable: boolean;
    }
  | { verdict: 'refuse'; reason: RefusalReason; rpcIds: string[]; batch: boolean; message: string };

/** Most messages in one batch (format: more get 413). */
const MAX_BATCH = 1000;

/** Methods without a body of their own; SDKs put `Content-Type: application/json` on them all the same. */
const BODILESS_METHODS = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS']);

/** Methods whose target the `Mcp-Name` header repeats (MCP 2026-07-28, standard request headers). */
const NAMED_METHODS = new Set([
  'tools/call',
  'prompts/get',
  'resources/read',
  'tasks/get',
  'tasks/update',
  'tasks/cancel',
]);

/**
 * Classifies one request by itself, whatever revision of the protocol it follows.
 * A body that says it is JSON must be JSON; any other body is read as JSON-RPC when it can be.
 */
export function classifyRequest(input: RequestInput): Classification {
  const { method, contentType, text } = input;
  if (text === '' && BODILESS_METHODS.has(method)) return NOTHING;
  const claimsJson = isJsonContentType(contentType);
  if (text === null) {
    if (!claimsJson) return input.hasBody ? UNREADABLE : NOTHING;
    return refuse(
      'not_utf8',
      'The body says it is JSON, but its bytes are not UTF-8 without byte order mark',
    );
  }
  const scanned = scanMessages(text, { maxMessages: MAX_BATCH });
  if (!scanned.ok) {
    if (scanned.reason === 'too_many_messages') {
      return refuse('batch_too_large', `The batch has more than ${MAX_BATCH} messages`);
    }
    if (!claimsJson) return text === '' ? NOTHING : UNREADABLE;
    const where = text === '' ? 'it is empty' : `at character ${scanned.offset}`;
    return refuse('malformed_json', `The body says it is JSON, but it is not: ${where}`);
  }
  const { messages, batch, ambiguous } = scanned;
  const contradiction = findContradiction(messages, input.headers);
  if (contradiction === null) {
    return { verdict: 'pass', messages, batch, ambiguous, readable: !namesOtherCharset(contentType) };
  }
  const rpcIds = requestIds(messages);
  return { verdict: 'refuse', reason: 'header_mismatch', rpcIds, batch, message: contradiction };
}

/** True for `application/json` and every `+json` type, parameters ignored (RFC 6839 3.1). */
export function isJsonContentType(contentType: string | null): boolean {
  if (contentType === null) return false;
  if (contentType === 'application/json') return true;
  const [type = ''] = contentType.split(';', 1);
  return /^(?:application\/json|[^/]+\/[^/]+\+json)$/i.test(type.trim());
}

/** JSON texts of the ids of the requests among them: who is refused is told with these. */
export function requestIds(messages: readonly Message[]): string[] {
  return messages.flatMap(({ kind, rpcId }) => (kind === 'request' && rpcId !== null ? [rpcId] : []));
}

const NOTHING: Classification = {
  verdict: 'pass',
  messages: [],
  batch: false,
  ambiguous: [],
  readable: true,
};
const UNREADABLE: Classification = { ...NOTHING, readable: false };

/** True when a server that goes by the charset reads other characters than the recorder (RFC 8259 8.1 leaves only UTF-8). */
function namesOtherCharset(contentType: string | null): boolean {
  if (contentType === null || !/charset/i.test(contentType)) return false;
  const charsets = [...contentType.matchAll(/charset\*?\s*=\s*["']?\s*([^\s"';,]*)/gi)].map(
    ([, name]) => name,
  );
  return !charsets.every((name) => /^(utf-?8|us-ascii)$/i.test(name ?? ''));
}

function refuse(reason: RefusalReason, message: string): Classification {
  return { verdict: 'refuse', reason, rpcIds: [], batch: false, message };
}

/** What a header says that some message of the body does not, in words; null when all agree. */
function findContradiction(messages: Message[], headers: RequestInput['headers']): string | null {
  const { mcpMethod, mcpName } = headers;
  if (mcpMethod === null && mcpName === null) return null;
  for (const { method, target } of messages) {
    if (method === null) continue;
    if (mcpMethod !== null && mcpMethod !== method) return 'Mcp-Method names another method than the body';
    if (mcpName === null || !NAMED_METHODS.has(method)) continue;
    const names = namesOf(mcpName);
    if (names === null) return 'Mcp-Name is marked as base64, but it is not base64 of UTF-8';
    if (target !== null && !names.includes(target)) return 'Mcp-Name names another target than the body';
  }
  return null;
}

/**
 * What an `Mcp-Name` may mean: `=?base64?...?=` is decoded. Plain values arrive one character a byte, and servers
 * differ in whether they take these bytes for UTF-8, so both readings count.
 */
function namesOf(header: string): string[] | null {
  const encoded = /^=\?base64\?(.*)\?=$/.exec(header)?.[1];
  if (encoded === undefined) return [header, Buffer.from(header, 'latin1').toString('utf8')];
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(encoded)) return null;
  const bytes = Buffer.from(encoded, 'base64');
  return isUtf8(bytes) ? [bytes.toString('utf8')] : null;
}
