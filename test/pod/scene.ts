/**
 * Owns a server and callers for the recorder in a pod, and the reading of what it recorded.
 */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import type { Line } from '@mcp-recorder/recording/format/line';
import { readSegments } from '@mcp-recorder/recording/read/store-reader';
import { verifyStore } from '@mcp-recorder/recording/read/verify-store';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';

export interface EchoServer {
  origin: string;
  port: number;
  /** Ids of the calls that arrived. */
  readonly arrived: number[];
  close(): Promise<void>;
}

/** Answers each call with its id, after as many milliseconds as its `params.delay` says. @param host where it listens */
export async function startEcho(host = '127.0.0.1'): Promise<EchoServer> {
  const arrived: number[] = [];
  async function answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const { id, params } = (await json(request)) as { id: number; params: { delay: number } };
    arrived.push(id);
    await pause(params.delay);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result: { echo: id } }));
  }
  const server = http.createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  server.listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    arrived,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

export interface CallAnswer {
  status: number;
  /** The header `Connection`. */
  connection: string | undefined;
  id: unknown;
}

/** One tool call. @param agent for who keeps connections; @param padding bytes in the request beside the rest */
export async function call(
  origin: string,
  id: number,
  { delay = 0, padding = 0, agent = false as http.Agent | false } = {},
): Promise<CallAnswer> {
  const params = { name: 'echo', delay, padding: 'x'.repeat(padding) };
  const body = JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params });
  const headers = { 'content-type': 'application/json', 'content-length': body.length };
  const request = http.request(`${origin}/mcp`, { method: 'POST', agent, headers });
  request.end(body);
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  const answer = (await json(response)) as { id: unknown };
  return { status: response.statusCode ?? 0, connection: response.headers.connection, id: answer.id };
}

/** Every line of the store in order, once `verify` has found nothing wrong with it. @param closed each stream must have ended */
export async function verifiedLines(store: ObjectStore, closed = true): Promise<Line[]> {
  const report = await verifyStore(store, { expectClosed: closed });
  if (!report.explained) throw new Error(`verify: ${JSON.stringify(report, null, 1)}`);
  const lines: Line[] = [];
  const onUnreadable = (problem: { message: string }): void => {
    throw new Error(problem.message);
  };
  for await (const segment of readSegments(store, { onUnreadable })) {
    for (const { line } of segment.lines()) lines.push(line);
  }
  return lines.toSorted((a, b) => (a.stream === b.stream ? a.seq - b.seq : a.stream < b.stream ? -1 : 1));
}

/** Ids of the calls whose exchange is in the recording from its request to its end, and how each ended. */
export function recordedCalls(lines: readonly Line[]): Map<number, string> {
  const ids = new Map<string, number>();
  const ends = new Map<number, string>();
  for (const line of lines) {
    if (line.type === 'request') ids.set(line.exchange, Number(line.calls?.[0]?.rpc_id));
    else if (line.type === 'end') ends.set(ids.get(line.exchange) ?? Number.NaN, line.ended.how);
  }
  return ends;
}
