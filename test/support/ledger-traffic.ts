/**
 * Owns the traffic of the two-sided ledger: an MCP-shaped server that writes down every byte it receives, and
 * clients that write down every byte they receive, through whatever stands between them. Both live in the process
 * of the test; only what stands between them is killed.
 *
 * What a call is answered with is decided by its arguments, so traffic is the same in every run with one seed.
 */
import { randomBytes } from 'node:crypto';
import {
  Agent,
  createServer,
  type IncomingHttpHeaders,
  request as sendRequest,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { type Ledger, type LedgerEntry, openEntry, tokenOf } from './ledger.ts';

/** What the recorder answers in the place of the server: no call of the ledger's server ends so. */
const REFUSED = new Set([502, 503, 504]);
/** Pause of a client whose call failed, milliseconds. */
const RETRY_MS = 25;

/** How a call is to be answered. */
export interface CallShape {
  /** `json`: one body; `sse`: `events` notifications, then the result; `error`: status 500 with a JSON-RPC error. */
  answer: 'json' | 'sse' | 'error';
  events: number;
  /** Length of the text in each event and in the result. */
  textBytes: number;
  /** Length of a text in the request. */
  requestBytes: number;
  /** Pause before each event and before a JSON answer, milliseconds. */
  pauseMs: number;
  /** The text of an answer can't be compressed to less than half. */
  random?: boolean;
}

export interface LedgerServer {
  origin: string;
  close(): Promise<void>;
}

/** Starts the server side on a free port of 127.0.0.1. */
export async function startLedgerServer(ledger: Ledger): Promise<LedgerServer> {
  const server = createServer((req, res) => {
    const pieces: Buffer[] = [];
    let entry: ReturnType<typeof openEntry> | null = null;
    // Written down piece by piece: a request that is cut half-way has been received half-way.
    req.on('data', (piece: Buffer) => {
      pieces.push(piece);
      const token = entry === null ? tokenOf(Buffer.concat(pieces).toString('utf8')) : null;
      if (token !== null) {
        if (ledger.server.has(token)) {
          ledger.repeated.push(token);
        }
        entry = openEntry(ledger.server, token);
        entry.received = pieces;
      }
    });
    req.on('end', () => {
      if (entry === null) {
        res.writeHead(202).end();
        return;
      }
      entry.complete = true;
      const message = JSON.parse(Buffer.concat(pieces).toString('utf8'));
      answer(res, message.id, message.params.arguments).catch(() => res.destroy());
    });
    req.on('error', () => undefined);
    req.on('close', () => {
      if (entry === null && pieces.length > 0) {
        ledger.beginnings.push(Buffer.concat(pieces));
      }
    });
    res.on('error', () => undefined);
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

async function answer(res: ServerResponse, id: number, shape: CallShape & { token: string }): Promise<void> {
  const beginning = `${shape.token} é `;
  const text =
    shape.random === true
      ? beginning + randomBytes(shape.textBytes / 2).toString('hex')
      : beginning.padEnd(shape.textBytes, 'x');
  const result = JSON.stringify({ jsonrpc: '2.0', id, result: { content: [{ type: 'text', text }] } });
  if (shape.answer === 'error') {
    res.writeHead(500, { 'content-type': 'application/json' });
    res.end(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32603, message: shape.token } }));
    return;
  }
  if (shape.answer === 'json') {
    await delay(shape.pauseMs);
    res.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(result) });
    res.end(result);
    return;
  }
  res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  res.flushHeaders();
  for (let at = 0; at < shape.events && !res.destroyed; at += 1) {
    await delay(shape.pauseMs);
    const params = { progressToken: shape.token, progress: at, message: text };
    const progress = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/progress', params });
    res.write(`${at % 3 === 0 ? ': still here\n\n' : ''}id: ${shape.token}/${at}\ndata: ${progress}\n\n`);
  }
  res.end(`event: message\ndata: ${result}\n\n`);
}

export interface DriveOptions {
  /** The endpoint; asked before each call, because a restarted recorder may be elsewhere. */
  url: () => string;
  /** Concurrent clients, each with one connection that it keeps. */
  clients: number;
  /** Ends the traffic: running calls are finished (or have failed) when `driveClients` returns. */
  until: AbortSignal;
  /** The shape of a client's n-th call. */
  shape?: (client: number, call: number) => CallShape;
  /** Makes tokens of several runs on one ledger different. */
  run?: string;
  /** Told of each call when it is over. */
  over?: (call: Called) => void;
  /** Pause of a client whose call failed or was refused (503), milliseconds. */
  retryMs?: number;
}

/** What came of a call, at the client. */
export interface Called {
  entry: LedgerEntry;
  /** Of the answer, if there was one. */
  headers: IncomingHttpHeaders;
  /** `performance.now()`. */
  startedMs: number;
  endedMs: number;
}

export interface Driven {
  completed: number;
  failed: number;
}

/** Mixed traffic: small and large JSON answers, streams, errors, requests that span several TCP segments. */
export function mixedShape(client: number, call: number): CallShape {
  const kind = (client + call) % 8;
  return {
    answer: kind === 7 ? 'error' : kind % 2 === 0 ? 'json' : 'sse',
    events: kind,
    textBytes: kind === 4 ? 100_000 : 200,
    requestBytes: kind === 2 ? 80_000 : 50,
    pauseMs: kind % 3,
  };
}

/**
 * Lets clients call one after the other until told to stop, and writes down what each receives. A call that fails
 * (the recorder was killed) is not repeated: the next one has a token of its own.
 */
export async function driveClients(ledger: Ledger, options: DriveOptions): Promise<Driven> {
  const driven: Driven = { completed: 0, failed: 0 };
  const { shape = mixedShape, retryMs = RETRY_MS } = options;
  const client = async (who: number) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let call = 0; !options.until.aborted; call += 1) {
      const token = `token-${options.run ?? 'a'}-${who}-${call}`;
      const called = await callOnce(ledger, options.url(), agent, token, call, shape(who, call));
      const { complete, status } = called.entry;
      driven[complete ? 'completed' : 'failed'] += 1;
      options.over?.(called);
      if (!complete || REFUSED.has(status ?? 0)) {
        // Nobody listens while the recorder starts again; asking all the time would only take the CPU away from it.
        await delay(retryMs);
      }
    }
    agent.destroy();
  };
  await Promise.all(Array.from({ length: options.clients }, (_, who) => client(who)));
  return driven;
}

function callOnce(
  ledger: Ledger,
  url: string,
  agent: Agent,
  token: string,
  id: number,
  shape: CallShape,
): Promise<Called> {
  const entry = openEntry(ledger.client, token);
  const startedMs = performance.now();
  const padding = 'é'.repeat(Math.floor(shape.requestBytes / 2));
  const params = { name: 'echo', arguments: { token, padding, ...shape } };
  const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params }));
  return new Promise((resolve) => {
    let answered: IncomingHttpHeaders = {};
    const over = () => resolve({ entry, headers: answered, startedMs, endedMs: performance.now() });
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'content-length': body.length,
    };
    const req = sendRequest(url, { method: 'POST', agent, headers }, (res) => {
      entry.status = res.statusCode ?? null;
      answered = res.headers;
      res.on('data', (piece: Buffer) => entry.received.push(piece));
      res.on('error', () => undefined);
      res.on('close', () => {
        entry.complete = res.complete;
        over();
      });
    });
    req.on('error', over);
    req.end(body);
  });
}
