/**
 * Owns a server that answers lists and watches as a test says, for what a real API server can't be made to answer.
 * Invariant: nothing is answered that was not ordered: a request without an order waits for one.
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Access } from '../../operator/kube/access.ts';

export interface ScriptedRequest {
  kind: 'list' | 'watch';
  query: URLSearchParams;
}

export type ScriptedAnswer =
  | { status: number; headers?: Record<string, string>; body: object }
  /** Events of a watch, and how it goes on after them. */
  | { events: object[]; after: 'end' | 'reset' | 'stay' };

export interface ScriptedApi {
  access: Access;
  /** All requests so far. */
  seen: ScriptedRequest[];
  /** The next answer to a list or to a watch. */
  next(kind: ScriptedRequest['kind'], answer: ScriptedAnswer): void;
  close(): Promise<void>;
}

/** The answer to a list. */
export function listOf(resourceVersion: string, ...names: string[]): ScriptedAnswer {
  const items = names.map((name) => ({ metadata: { name, namespace: 'tools', resourceVersion } }));
  return { status: 200, body: { kind: 'List', metadata: { resourceVersion }, items } };
}

/** An answer as the API gives errors. */
export function statusOf(code: number, reason: string, headers: Record<string, string> = {}): ScriptedAnswer {
  return { status: code, headers, body: { kind: 'Status', code, reason, message: 'as ordered' } };
}

export async function startScriptedApi(): Promise<ScriptedApi> {
  const seen: ScriptedRequest[] = [];
  const orders: Record<ScriptedRequest['kind'], ScriptedAnswer[]> = { list: [], watch: [] };
  const waiting: Record<ScriptedRequest['kind'], http.ServerResponse[]> = { list: [], watch: [] };

  function answer(response: http.ServerResponse, order: ScriptedAnswer): void {
    if ('status' in order) {
      response.writeHead(order.status, { 'content-type': 'application/json', ...order.headers });
      response.end(JSON.stringify(order.body));
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    for (const event of order.events) response.write(`${JSON.stringify(event)}\n`);
    if (order.after === 'end') response.end();
    if (order.after === 'reset') setImmediate(() => response.socket?.resetAndDestroy());
  }

  const server = http.createServer((request, response) => {
    const { searchParams: query } = new URL(request.url ?? '/', 'http://localhost');
    const kind = query.get('watch') === 'true' ? 'watch' : 'list';
    seen.push({ kind, query });
    const order = orders[kind].shift();
    if (order === undefined) waiting[kind].push(response);
    else answer(response, order);
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const { port } = server.address() as AddressInfo;
  return {
    access: {
      origin: `http://127.0.0.1:${port}`,
      namespace: null,
      token: () => null,
      tls: () => ({ ca: null, cert: null, key: null, servername: null }),
    },
    seen,
    next(kind, order) {
      const response = waiting[kind].shift();
      if (response === undefined) orders[kind].push(order);
      else answer(response, order);
    },
    async close() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}
