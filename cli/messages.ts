/**
 * Owns how recorded bodies are read for showing them. For people only: nothing is decided by what is read here.
 */

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

/**
 * The messages in a body that stands on several lines; none when it is no JSON.
 * @param kind in the body of an event the first data line stands bare, the following ones with their `data:`;
 *   a body may hold one document, or one a line
 */
export function joinBody(pieces: readonly BodyPiece[], kind: 'body' | 'event'): Message[] {
  const bytes = pieces.map(({ body, body_encoding }) =>
    Buffer.from(body ?? '', body_encoding === 'base64' ? 'base64' : 'utf8'),
  );
  const text = Buffer.concat(bytes).toString('utf8');
  if (kind === 'event') return parseMessages(eventData(text));
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
