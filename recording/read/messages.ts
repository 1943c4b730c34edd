/**
 * Owns how recorded bodies are read as JSON-RPC messages. For readers only: no recorder decides by what is read here.
 */

import { isUtf8 } from 'node:buffer';

/** What a line says of its piece of the body. */
export interface BodyPiece {
  body: string | null;
  body_encoding: 'utf8' | 'base64' | null;
}

/** A JSON-RPC message as far as it is shown. */
export interface Message {
  id?: unknown;
  method?: unknown;
  params?: Record<string, unknown>;
  result?: unknown;
  error?: unknown;
}

/** The bytes of a body that stands on several lines, and as text where they are UTF-8; nulls when nothing of it was recorded. */
export function joinText(pieces: readonly BodyPiece[]): { bytes: Buffer | null; text: string | null } {
  const there = pieces.filter(({ body }) => body !== null);
  if (there.length === 0) return { bytes: null, text: null };
  const bytes = Buffer.concat(
    there.map(({ body, body_encoding }) =>
      Buffer.from(body ?? '', body_encoding === 'base64' ? 'base64' : 'utf8'),
    ),
  );
  return { bytes, text: isUtf8(bytes) ? bytes.toString('utf8') : null };
}

/** The messages in a text: one document, or one a line; none when it is no JSON. */
export function messagesIn(text: string): Message[] {
  const whole = parseMessages(text);
  return whole.length > 0 ? whole : text.split('\n').flatMap(parseMessages);
}

/** The data of an event (HTML, 9.2.6) from its body: the first line stands bare there, the following ones with their `data:`. */
export function eventData(text: string): string {
  return text.replace(/(\r\n|\r|\n)data:? ?/g, '\n');
}

/**
 * The message with this id, as JSON text (`7` is not `"7"`).
 * @param method of a request; null: an answer is looked for
 */
export function findMessage(
  messages: readonly Message[],
  rpcId: string | null,
  method: string | null,
): Message | null {
  const id = rpcId === null ? undefined : normalize(rpcId);
  const found = messages.find((message) => {
    if (method === null ? message.method !== undefined : message.method !== method) return false;
    return JSON.stringify(message.id) === id;
  });
  return found ?? null;
}

/** The id as JSON.stringify writes it: `1.0` and `1` are one number. */
function normalize(rpcId: string): string {
  try {
    return JSON.stringify(JSON.parse(rpcId));
  } catch {
    return rpcId;
  }
}

function parseMessages(text: string): Message[] {
  if (text.trim() === '') return [];
  try {
    const parsed: unknown = JSON.parse(text);
    return (Array.isArray(parsed) ? parsed : [parsed]).filter(isMessage);
  } catch {
    return [];
  }
}

function isMessage(value: unknown): value is Message {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const params: unknown = Reflect.get(value, 'params');
  return params === undefined || (typeof params === 'object' && params !== null && !Array.isArray(params));
}
