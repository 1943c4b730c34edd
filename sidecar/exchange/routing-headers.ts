/**
 * Owns that routing headers say what a masked body says (MCP 2026-07-28, standard request headers).
 * Invariant: what masking took out of the body does not stand in `Mcp-Method` or `Mcp-Name`, and a server finds no contradiction.
 */
import type { Message } from './json-scan.ts';
import { base64Header } from './masking/names.ts';

/**
 * @param raw names and values in turn
 * @param messages of the body as it came
 * @param shown the same as read from the masked body
 * @returns `raw` itself when nothing is to change
 */
export function alignRoutingHeaders(
  raw: readonly string[],
  messages: readonly Message[],
  shown: readonly Message[] | undefined,
): readonly string[] {
  const before = messages[0];
  const after = shown?.[0];
  if (before === undefined || after === undefined) return raw;
  let aligned = raw;
  if (after.target !== before.target) aligned = withValue(aligned, 'mcp-name', after.target);
  if (after.method !== before.method) aligned = withValue(aligned, 'mcp-method', after.method);
  return aligned;
}

/** With this text as the value of each header of that name. */
function withValue(raw: readonly string[], name: string, text: string | null): readonly string[] {
  if (text === null) return raw;
  return raw.map((part, index) =>
    index % 2 === 1 && (raw[index - 1] as string).toLowerCase() === name ? headerValue(text) : part,
  );
}

/** As it is when it can stand in a header, else as base64. */
function headerValue(text: string): string {
  return /^[!-~]([ -~]*[!-~])?$/.test(text) && !text.startsWith('=?') ? text : base64Header(text);
}
