/**
 * Owns an MCP server for tests, made with SDK v2, that passes the conformance suites and serves both eras on one
 * URL: 2025-11-25 (and older) with sessions, SSE and resumption; 2026-07-28 stateless.
 * Invariant: each request is classified by itself, by the SDK's own rule; nothing is remembered about a connection.
 *
 * Runs inside a test (`startFixtureServer`) or as a process:
 * `node test/support/fixture-server.ts [port]` prints `listening on <url>` and ends on SIGTERM.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { NodeIncomingMessageLike } from '@modelcontextprotocol/node';
import { localhostHostValidation, localhostOriginValidation, toWebRequest } from '@modelcontextprotocol/node';
import {
  createMcpHandler,
  isLegacyRequest,
  McpServer,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server';
import { registerPrompts, registerResources } from './fixture-content.ts';
import { createFixtureEventStore } from './fixture-event-store.ts';
import {
  registerInputRequiredPrompt,
  registerInputRequiredTools,
  verifyRequestState,
} from './fixture-input-required.ts';
import {
  type ListChanges,
  registerAskingTools,
  registerCancellationTools,
  registerContentTools,
  registerStreamingTools,
} from './fixture-tools.ts';

/** What `retry:` tells a polling client; short, because a test waits for it. */
const RETRY_MS = 200;

export interface FixtureServer {
  /** Where MCP is spoken: `http://127.0.0.1:<port>/mcp`. */
  url: string;
  port: number;
  /** Ends every session and connection. */
  close(): Promise<void>;
}

function createMcpServer(era: 'legacy' | 'modern', announce: ListChanges | null): McpServer {
  const server = new McpServer(
    { name: 'mcp-recorder-fixture', version: '1.0.0' },
    {
      capabilities: {
        tools: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        prompts: { listChanged: true },
        logging: {},
        completions: {},
      },
      requestState: { verify: verifyRequestState },
    },
  );
  const changes = announce ?? {
    toolsChanged: () => server.sendToolListChanged(),
    promptsChanged: () => server.sendPromptListChanged(),
  };
  registerContentTools(server);
  registerStreamingTools(server, changes);
  registerCancellationTools(server);
  registerInputRequiredTools(server);
  registerResources(server);
  registerPrompts(server);
  registerInputRequiredPrompt(server);
  if (era === 'legacy') {
    registerAskingTools(server);
    server.server.setRequestHandler('resources/subscribe', () => ({}));
    server.server.setRequestHandler('resources/unsubscribe', () => ({}));
  }
  return server;
}

/** Serves 2025-11-25 and older: one transport and one server a session, found by `Mcp-Session-Id`. */
function createLegacySessions() {
  const transports = new Map<string, WebStandardStreamableHTTPServerTransport>();
  const refuse = (status: number, code: number, message: string) =>
    Response.json({ jsonrpc: '2.0', error: { code, message }, id: null }, { status });

  async function answer(request: Request): Promise<Response> {
    const sessionId = request.headers.get('mcp-session-id');
    if (sessionId !== null) {
      const known = transports.get(sessionId);
      return known ? known.handleRequest(request) : refuse(404, -32001, 'Session not found');
    }
    if (request.method !== 'POST') {
      return refuse(400, -32000, 'Bad Request: Mcp-Session-Id header is required');
    }
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      eventStore: createFixtureEventStore(),
      retryInterval: RETRY_MS,
      onsessioninitialized: (id) => void transports.set(id, transport),
      onsessionclosed: (id) => void transports.delete(id),
    });
    await createMcpServer('legacy', null).connect(transport);
    return transport.handleRequest(request);
  }

  async function close(): Promise<void> {
    await Promise.all([...transports.values()].map((transport) => transport.close()));
    transports.clear();
  }
  return { answer, close };
}

/**
 * Writes a web response to a socket: headers at once (a stream may stay silent for long), then the body as it
 * comes. When the client goes, the body is cancelled: for a 2026-07-28 call that is the cancellation.
 */
async function writeResponse(response: Response, res: ServerResponse): Promise<void> {
  res.writeHead(response.status, Object.fromEntries(response.headers));
  res.flushHeaders();
  if (response.body === null) {
    res.end();
    return;
  }
  const reader = response.body.getReader();
  const closed = once(res, 'close').then(() => reader.cancel().catch(() => undefined));
  for (;;) {
    const { done, value } = await reader.read();
    if (done || res.destroyed) {
      break;
    }
    if (!res.write(value)) {
      await Promise.race([once(res, 'drain'), closed]);
    }
  }
  res.end();
}

/**
 * Starts the server on 127.0.0.1.
 * @param port 0 (the default) for any free port.
 * @param watch is shown each request before its body arrives.
 */
export async function startFixtureServer(
  port = 0,
  watch: (req: IncomingMessage) => void = () => {},
): Promise<FixtureServer> {
  const sessions = createLegacySessions();
  const modern = createMcpHandler(() => createMcpServer('modern', modern.notify), { legacy: 'reject' });
  const hostIsLocal = localhostHostValidation();
  const originIsLocal = localhostOriginValidation();

  async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    if (!hostIsLocal(req, res) || !originIsLocal(req, res)) {
      return;
    }
    const gone = new AbortController();
    res.once('close', () => gone.abort());
    const request = await toWebRequest(req as NodeIncomingMessageLike, undefined, { signal: gone.signal });
    const legacy = await isLegacyRequest(request);
    await writeResponse(await (legacy ? sessions.answer(request) : modern.fetch(request)), res);
  }

  const server = createServer((req, res) => {
    watch(req);
    serve(req, res).catch((error: Error) => {
      if (!res.headersSent) {
        res.writeHead(error.name === 'RequestBodyTooLargeError' ? 413 : 500, { connection: 'close' });
      }
      res.end();
    });
  });
  await new Promise<void>((ready, failed) => {
    server.once('error', failed);
    server.listen(port, '127.0.0.1', ready);
  });
  const bound = (server.address() as AddressInfo).port;
  return {
    url: `http://127.0.0.1:${bound}/mcp`,
    port: bound,
    async close() {
      await Promise.all([modern.close(), sessions.close()]);
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

if (import.meta.main) {
  const fixture = await startFixtureServer(Number(process.argv[2] ?? process.env.PORT ?? 0));
  process.once('SIGTERM', () => void fixture.close().then(() => process.exit(0)));
  console.log(`listening on ${fixture.url}`);
}
