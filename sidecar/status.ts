/**
 * Owns the status port: what probes, monitoring and operators ask.
 * Invariant: it answers from memory, whatever state the spool, the store and the server are in; liveness depends on none of them.
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import type { Address } from './config/address.ts';

export interface Readiness {
  ready: boolean;
  /** Why not, for people; empty when ready. */
  reasons: string[];
}

export interface StatusServer {
  /** Where it listens; the port is the real one. */
  address: Address;
  /** Stops listening and ends open connections. */
  close(): Promise<void>;
}

interface Answer {
  status: number;
  contentType: string;
  body: string;
}

const PATHS = ['/livez', '/readyz', '/metrics', '/status'];

/**
 * Starts the status port.
 * @param parts `readiness` and `status` are asked at each request and must not wait for anything
 * @throws the error of `listen`, such as EADDRINUSE
 */
export async function createStatusServer(parts: {
  listen: Address;
  readiness(): Readiness;
  status(): object;
  registry: Registry;
}): Promise<StatusServer> {
  const server = http.createServer({ requestTimeout: 10_000, headersTimeout: 5_000 }, (request, response) => {
    answer(request, parts).then(
      (reply) => send(response, reply),
      (error: unknown) => {
        const why = error instanceof Error ? error.message : String(error);
        send(response, json(500, { error: `The recorder could not describe itself: ${why}` }));
      },
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(parts.listen.port, parts.listen.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const { address: host, port } = server.address() as AddressInfo;
  return {
    address: { host, port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  request: http.IncomingMessage,
  parts: { readiness(): Readiness; status(): object; registry: Registry },
): Promise<Answer> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return json(405, { error: 'Only GET and HEAD are answered here.' });
  }
  switch (request.url?.split('?')[0]) {
    case '/livez':
      return json(200, { alive: true });
    case '/readyz': {
      const readiness = parts.readiness();
      return json(readiness.ready ? 200 : 503, readiness);
    }
    case '/metrics':
      return { status: 200, contentType: parts.registry.contentType, body: await parts.registry.metrics() };
    case '/status':
      return json(200, parts.status());
    default:
      return json(404, { error: `This is the recorder's status port; it answers ${PATHS.join(', ')}.` });
  }
}

function json(status: number, value: object): Answer {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value, null, 2)}\n` };
}

/** node:http leaves the body out of an answer to HEAD. */
function send(response: http.ServerResponse, { status, contentType, body }: Answer): void {
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    ...(status === 405 ? { allow: 'GET, HEAD' } : {}),
  });
  response.end(body);
}
