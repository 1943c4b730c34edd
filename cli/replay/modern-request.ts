/**
 * Owns what MCP 2026-07-28 asks of a request beside its call: which revision it is of, and headers that say what the body says.
 */
import type http from 'node:http';
import type { Message } from '@mcp-recorder/recording/read/messages';

export const MODERN = '2026-07-28';
const REVISIONS = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25', MODERN];
const VERSION = 'io.modelcontextprotocol/protocolVersion';
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
const INVALID_PARAMS = -32602;
const HEADER_MISMATCH = -32020;
const UNSUPPORTED_VERSION = -32022;
/** Methods whose target stands in `Mcp-Name` too, with the parameter that it is. */
const NAMED: Record<string, string> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
};

/** The revision that a body says it is of; null: it says none, as all before this one. */
function versionIn({ params }: Message): string | null {
  const meta = params?.['_meta'];
  const version: unknown = typeof meta === 'object' && meta !== null ? Reflect.get(meta, VERSION) : undefined;
  return typeof version === 'string' ? version : null;
}

/** Whether a request is of the era without sessions: by its header, or by its body. */
export function isModernRequest(headers: http.IncomingHttpHeaders, message: Message | undefined): boolean {
  if (headers['mcp-protocol-version'] === MODERN) return true;
  if (message === undefined) return false;
  return message.method === 'server/discover' || versionIn(message) !== null;
}

export interface RequestProblem {
  code: number;
  message: string;
  data?: object;
}

/** Why a server of this revision would refuse the request with 400; null: it would not. */
export function modernProblem(headers: http.IncomingHttpHeaders, message: Message): RequestProblem | null {
  const inBody = versionIn(message);
  const inHeader = headers['mcp-protocol-version'];
  const mismatch = (name: string): RequestProblem => ({
    code: HEADER_MISMATCH,
    message: `The header ${name} does not say what the body says.`,
  });
  if (inBody !== null && inHeader !== inBody) return mismatch('MCP-Protocol-Version');
  if (inHeader !== undefined && !REVISIONS.includes(String(inHeader))) {
    const data = { supported: [MODERN], requested: inHeader };
    const message = `The protocol version ${String(inHeader)} is not known.`;
    return { code: UNSUPPORTED_VERSION, message, data };
  }
  const meta = message.params?.['_meta'];
  const has = (name: string): boolean =>
    typeof meta === 'object' && meta !== null && Object.hasOwn(meta, name);
  const missing = [VERSION, CAPABILITIES].find((name) => !has(name));
  if (missing !== undefined) return { code: INVALID_PARAMS, message: `_meta does not have ${missing}.` };
  if (headers['mcp-method'] !== message.method) return mismatch('Mcp-Method');
  const named = NAMED[String(message.method)];
  if (named === undefined) return null;
  const target = message.params?.[named];
  return typeof target !== 'string' || decoded(headers['mcp-name']) === target ? null : mismatch('Mcp-Name');
}

/** A header as SEP-2243 encodes what is no plain value. */
function decoded(value: string | string[] | undefined): string | null {
  if (typeof value !== 'string') return null;
  const encoded = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/.exec(value.trim());
  return encoded === null ? value.trim() : Buffer.from(encoded[1] ?? '', 'base64').toString('utf8');
}
