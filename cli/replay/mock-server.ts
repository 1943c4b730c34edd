/**
 * Owns the HTTP side of a mock server: MCP's Streamable HTTP of both eras, answered from a recording.
 * Invariants: whatever a client sends is answered as MCP says, never by a stack; pages of other origins get nothing.
 */
import { randomUUID } from 'node:crypto';
import http from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { type Message, messagesIn } from '@mcp-recorder/recording/read/messages';
import { type AnswerBook, describeCall } from './answer-book.ts';
import type { Delivered, RecordedCall } from './recorded-calls.ts';
import { isModernRequest, modernProblem } from './modern-request.ts';
import { rewriteFor } from './rewrite.ts';

export interface MockServer {
  url: string;
  close(): Promise<void>;
}

export interface MockOptions {
  host: string;
  port: number;
  /** Of each era: the same call is answered otherwise in the other. */
  books: { legacy: AnswerBook; modern: AnswerBook };
  /** What came on streams that clients listened on, one after the other. */
  streams: readonly Delivered[][];
  /** Answers take as long as they took. */
  timing: boolean;
  /** Told of each call: what it was, and how it was answered. */
  told(what: string): void;
}

/** A body larger than this is refused, as SDK servers do (bytes). */
const MAX_BODY_BYTES = 4 * 2 ** 20;
/** How long a recorded question of the server waits for the client's answer (ms). */
const ANSWER_MS = 30_000;
/** How long a client has to begin to listen, before what was told there is left out (ms). */
const LISTEN_MS = 5_000;
const SESSION_HEADER = 'mcp-session-id';

interface MockSession {
  book: AnswerBook;
  /** The stream that its client listens on. */
  listens: PromiseWithResolvers<http.ServerResponse>;
}

function createSession(book: AnswerBook): MockSession {
  return { book, listens: Promise.withResolvers() };
}

/** Starts the server. @throws the error of `listen` */
export async function startMockServer(options: MockOptions): Promise<MockServer> {
  const { host, port, books, streams, timing, told } = options;
  const sessions = new Map<string, MockSession>();
  /** Questions of the server that wait for their answer. */
  const waiting = new Map<unknown, () => void>();
  const stopped = new AbortController();
  const bookOf = (isModern: boolean): AnswerBook => (isModern ? books.modern : books.legacy);
  let stream = 0;

  const server = http.createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      if (response.headersSent) response.destroy();
      else sendError(response, 500, null, -32603, `The mock server failed: ${why}`);
    });
  });

  async function handle(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const foreign = foreignProblem(request, host);
    if (foreign !== null) return sendError(response, 403, null, -32600, foreign);
    const name = request.headers[SESSION_HEADER];
    const isModern = isModernRequest(request.headers, undefined);
    if (typeof name === 'string' && !sessions.has(name) && !isModern) {
      return sendError(
        response,
        404,
        null,
        -32001,
        'No such session: it was not opened here, or it was ended.',
      );
    }
    if (request.method === 'DELETE' && typeof name === 'string') {
      sessions.delete(name);
      response.writeHead(204).end();
      return;
    }
    const session = typeof name === 'string' ? (sessions.get(name) ?? null) : null;
    if (request.method === 'GET' && !isModern && streams.length > 0) return await listen(response, session);
    if (request.method !== 'POST') {
      response.setHeader('allow', 'POST');
      return sendError(response, 405, null, -32600, 'Only POST is answered here.');
    }
    const body = await readBody(request);
    if (body === null)
      return sendError(response, 413, null, -32600, `A body is at most ${MAX_BODY_BYTES} bytes.`);
    const messages = messagesIn(body);
    if (messages.length === 0)
      return sendError(response, 400, null, -32700, 'The body holds no JSON-RPC message.');
    for (const { method, id } of messages) if (method === undefined) waiting.get(id)?.();
    const calls = messages.filter(({ method, id }) => method !== undefined && id !== undefined);
    if (calls.length === 0) {
      response.writeHead(202).end();
      return;
    }
    const [first] = calls;
    if (first !== undefined && isModernRequest(request.headers, first)) {
      const problem = modernProblem(request.headers, first);
      if (problem !== null) {
        told(`${describeCall(first)} is refused: ${problem.message}`);
        return send(response, 400, { jsonrpc: '2.0', id: first.id, error: problem });
      }
      return await answerOne(response, first, session, true);
    }
    if (first !== undefined && calls.length === 1) return await answerOne(response, first, session, false);
    const answers = calls.map((call) => answerOf(call, session?.book ?? bookOf(isModern)));
    send(
      response,
      200,
      answers.flatMap(({ message }) => message ?? []),
    );
  }

  /** What a call is answered with, and whence; without a message: it stays unanswered, as it was. */
  function answerOf(
    call: Message,
    own: AnswerBook,
  ): { message: Message | null; status: number; recorded: RecordedCall | null } {
    const found = own.find(call);
    if (!found.isKnown) {
      told(found.message);
      return {
        message: errorMessage(call.id, found.isMethodKnown ? -32602 : -32601, found.message),
        status: found.isMethodKnown ? 200 : 404,
        recorded: null,
      };
    }
    const { recorded, isNearest } = found;
    if (isNearest) {
      told(
        `${describeCall(call)} gets the answer to the nearest call that was recorded, ${recorded.call.operation}.`,
      );
    }
    const [answer] = recorded.answer?.messages ?? [];
    if (answer === undefined) {
      // A stream that the client left before there was an answer: it is told what came, and leaves again.
      if (recorded.before.length > 0) return { message: null, status: recorded.status, recorded };
      const why = `The recording has this call (${recorded.call.operation}) and not its answer: ${recorded.missing}.`;
      told(why);
      return { message: errorMessage(call.id, -32603, why), status: 200, recorded: null };
    }
    return {
      message: rewriteFor(recorded, call).answer(answer),
      status: recorded.status,
      recorded,
    };
  }

  async function answerOne(
    response: http.ServerResponse,
    call: Message,
    session: MockSession | null,
    isModern: boolean,
  ): Promise<void> {
    const { message, status, recorded } = answerOf(call, session?.book ?? bookOf(isModern));
    if (recorded === null) return send(response, isModern ? status : 200, message ?? {});
    if (recorded.opensSession) {
      const id = randomUUID();
      sessions.set(id, createSession(books.legacy.again()));
      response.setHeader(SESSION_HEADER, id);
    }
    const startedMs = performance.now();
    if (recorded.aside.length > 0 && session !== null) await tellAside(recorded, call, session, startedMs);
    if (!recorded.asEvents && message !== null) {
      if (timing) await pause((recorded.answer?.afterMs ?? 0) - (performance.now() - startedMs));
      return send(response, status, message);
    }
    const rewrite = rewriteFor(recorded, call);
    startEvents(response);
    for (const delivered of recorded.before) {
      if (timing) await pause(delivered.afterMs - (performance.now() - startedMs));
      for (const one of delivered.messages) await deliver(response, rewrite.message(one));
      if (response.destroyed) return;
    }
    if (message === null) return;
    if (timing) await pause((recorded.answer?.afterMs ?? 0) - (performance.now() - startedMs));
    response.end(eventOf(message));
  }

  /** Tells on the stream that the client listens on what came there while this call ran. */
  async function tellAside(
    recorded: RecordedCall,
    call: Message,
    session: MockSession,
    startedMs: number,
  ): Promise<void> {
    const rewrite = rewriteFor(recorded, call);
    const listener = await Promise.race([session.listens.promise, pause(LISTEN_MS)]);
    if (listener === undefined) return;
    for (const { afterMs, messages } of recorded.aside) {
      if (timing) await pause(afterMs - (performance.now() - startedMs));
      for (const one of messages) await deliver(listener, rewrite.message(one));
    }
  }

  /** Sends a message as an event; a question waits for the client's answer, as the server that was recorded did. */
  async function deliver(response: http.ServerResponse, message: Message): Promise<void> {
    response.write(eventOf(message));
    if (message.method === undefined || message.id === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    waiting.set(message.id, resolve);
    response.once('close', resolve);
    await Promise.race([promise, pause(ANSWER_MS)]);
    waiting.delete(message.id);
  }

  async function listen(response: http.ServerResponse, session: MockSession | null): Promise<void> {
    const delivered = streams[Math.min(stream, streams.length - 1)] ?? [];
    stream += 1;
    startEvents(response);
    session?.listens.resolve(response);
    const startedMs = performance.now();
    for (const { afterMs, messages } of delivered) {
      if (timing) await pause(afterMs - (performance.now() - startedMs));
      for (const message of messages) if (message.id === undefined) response.write(eventOf(message));
    }
    // It stays open until the client leaves: what it listens for may never come.
  }

  async function pause(ms: number): Promise<void> {
    if (ms > 0) await delay(ms, undefined, { signal: stopped.signal, ref: false }).catch(() => {});
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const address = server.address();
  const realPort = typeof address === 'object' && address !== null ? address.port : port;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${realPort}/mcp`,
    close: () =>
      new Promise((resolve) => {
        stopped.abort();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/** Why a request is not answered: a page of another site, or a name that was led here (DNS rebinding). */
function foreignProblem({ headers }: http.IncomingMessage, bound: string): string | null {
  const { host = '', origin } = headers;
  if (origin !== undefined && !LOOPBACK.has(hostOf(origin))) return `The origin ${origin} is not answered.`;
  if (!LOOPBACK.has(bound.includes(':') ? `[${bound}]` : bound)) return null;
  return LOOPBACK.has(hostOf(`http://${host}`))
    ? null
    : `The host ${host} is not answered: this is a loopback address.`;
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname : '';
}

async function readBody(request: http.IncomingMessage): Promise<string | null> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request) {
    bytes += (piece as Buffer).length;
    if (bytes > MAX_BODY_BYTES) return null;
    pieces.push(piece as Buffer);
  }
  return Buffer.concat(pieces).toString('utf8');
}

function startEvents(response: http.ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  response.flushHeaders();
}

function eventOf(message: Message): string {
  return `event: message\ndata: ${JSON.stringify(message)}\n\n`;
}

function errorMessage(id: unknown, code: number, message: string): Message {
  return { jsonrpc: '2.0', id: id ?? null, error: { code, message } } as Message;
}

function sendError(
  response: http.ServerResponse,
  status: number,
  id: unknown,
  code: number,
  message: string,
): void {
  send(response, status, errorMessage(id, code, message));
}

function send(response: http.ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
