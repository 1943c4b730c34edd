/**
 * Owns the calls of a server with recorded requests: MCP over HTTP of both eras, one request at a time.
 * Invariants: no redirect is followed, so that credentials go where they were meant for; each call ends in bounded time and size.
 */
import { type Message, messagesIn } from '@mcp-recorder/recording/read/messages';

/** A call takes at most so long (ms). */
const CALL_MS = 60_000;
const MAX_ANSWER_BYTES = 64 * 2 ** 20;

export interface ServerClient {
  /** Opens a session with a recorded `initialize`. @returns its answer */
  open(initialize: Message): Promise<Message>;
  /** Calls with a recorded request. @throws Error with a sentence that says why there is no answer */
  call(message: Message, protocol: string | null): Promise<Message>;
  /** Ends the session, where there is one. */
  close(): Promise<void>;
}

export function createServerClient(url: URL, headers: readonly [string, string][]): ServerClient {
  let session: string | null = null;
  let negotiated: string | null = null;

  async function post(body: unknown, more: Record<string, string>): Promise<Response> {
    const response = await fetch(url, {
      method: 'POST',
      redirect: 'manual',
      signal: AbortSignal.timeout(CALL_MS),
      headers: [
        ...headers,
        ['content-type', 'application/json'],
        ['accept', 'application/json, text/event-stream'],
        ...(session === null ? [] : [['mcp-session-id', session]]),
        ...Object.entries(more),
      ] as [string, string][],
      body: JSON.stringify(body),
    });
    if (response.status >= 300 && response.status < 400) {
      await response.body?.cancel();
      throw new Error(`the server redirects (${response.status}), which is not followed`);
    }
    return response;
  }

  async function call(message: Message, protocol: string | null): Promise<Message> {
    const response = await post(message, headersOf(message, negotiated ?? protocol));
    session = response.headers.get('mcp-session-id') ?? session;
    const answer = await answerIn(response, message.id, async (question) => {
      // What the server asks of a client is not replayed: it is told so, and may go on without.
      const error = { code: -32601, message: 'This client replays a recording and answers nothing.' };
      const refused = await post({ jsonrpc: '2.0', id: question.id, error }, headersOf(question, negotiated));
      await refused.body?.cancel();
    });
    if (answer !== null) return answer;
    throw new Error(`the server answered ${response.status} without an answer to the call`);
  }

  return {
    call,
    async open(initialize) {
      const answer = await call(initialize, null);
      const result = answer.result as { protocolVersion?: unknown } | undefined;
      negotiated = typeof result?.protocolVersion === 'string' ? result.protocolVersion : null;
      const done = await post(
        { jsonrpc: '2.0', method: 'notifications/initialized' },
        headersOf({}, negotiated),
      );
      await done.body?.cancel();
      return answer;
    },
    async close() {
      if (session === null) return;
      const options = { method: 'DELETE', redirect: 'manual', signal: AbortSignal.timeout(CALL_MS) } as const;
      const all = [...headers, ['mcp-session-id', session]] as [string, string][];
      await fetch(url, { ...options, headers: all })
        .then((response) => response.body?.cancel())
        .catch(() => {});
      session = null;
    },
  };
}

/** What the protocol wants in headers (2026-07-28: method and name too). */
function headersOf({ method, params }: Message, protocol: string | null): Record<string, string> {
  if (protocol === null) return {};
  const headers: Record<string, string> = { 'mcp-protocol-version': protocol };
  if (protocol < '2026-07-28' || typeof method !== 'string') return headers;
  headers['mcp-method'] = method;
  const name = params?.['name'] ?? params?.['uri'] ?? params?.['taskId'];
  if (typeof name === 'string') headers['mcp-name'] = headerValue(name);
  return headers;
}

/** As SEP-2243 writes what is no plain header value. */
function headerValue(text: string): string {
  const isPlain = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(text) && !/^=\?base64\?/i.test(text);
  return isPlain ? text : `=?base64?${Buffer.from(text).toString('base64')}?=`;
}

async function answerIn(
  response: Response,
  id: unknown,
  onQuestion: (question: Message) => Promise<void>,
): Promise<Message | null> {
  const isEvents = response.headers.get('content-type')?.includes('text/event-stream') === true;
  const wanted = JSON.stringify(id);
  let text = '';
  let bytes = 0;
  const decoder = new TextDecoder();
  for await (const piece of response.body ?? []) {
    bytes += piece.length;
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`the answer is longer than ${MAX_ANSWER_BYTES} bytes`);
    text += decoder.decode(piece, { stream: true });
    if (!isEvents) continue;
    const events = text.split(/\r\n\r\n|\n\n|\r\r/);
    text = events.pop() ?? '';
    for (const event of events) {
      const data = event
        .split(/\r\n|\n|\r/)
        .filter((line) => line.startsWith('data:'))
        .map((line) => line.slice(5).replace(/^ /, ''))
        .join('\n');
      for (const message of messagesIn(data)) {
        if (message.method === undefined && JSON.stringify(message.id) === wanted) return message;
        if (message.method !== undefined && message.id !== undefined) await onQuestion(message);
      }
    }
  }
  if (isEvents) return null;
  return (
    messagesIn(text).find(
      (message) => message.method === undefined && JSON.stringify(message.id) === wanted,
    ) ?? null
  );
}
