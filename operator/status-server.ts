/**
 * Owns the operator's status port: what the kubelet and monitoring ask.
 * Invariant: it answers from memory. Alive means that a restart would not help: a silent API server is no reason for one, a copy that has
 * stopped to follow it is.
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';

/** `reasons`: why not, for people; empty when all is well. */
export interface Health {
  reasons: string[];
}

export interface OperatorStatusParts {
  port: number;
  /** Default: all addresses. */
  host?: string;
  alive(): Health;
  ready(): Health;
  registry: Registry;
}

export interface OperatorStatusServer {
  /** The real one, where 0 was asked for. */
  port: number;
  close(): Promise<void>;
}

interface Answer {
  status: number;
  contentType: string;
  body: string;
}

/** @throws the error of `listen`, such as EADDRINUSE */
export async function createOperatorStatusServer(parts: OperatorStatusParts): Promise<OperatorStatusServer> {
  const server = http.createServer({ requestTimeout: 10_000, headersTimeout: 5_000 }, (request, response) => {
    void respond(request, response, parts);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(parts.port, parts.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function respond(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  parts: OperatorStatusParts,
): Promise<void> {
  try {
    const { status, contentType, body } = await answer(request, parts);
    response.writeHead(status, { 'content-type': contentType, 'cache-control': 'no-store' });
    response.end(body);
  } catch (error) {
    response.writeHead(500).end(`The operator could not describe itself: ${String(error)}\n`);
  }
}

async function answer(request: http.IncomingMessage, parts: OperatorStatusParts): Promise<Answer> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 405, contentType: 'text/plain', body: 'Only GET and HEAD are answered here.\n' };
  }
  switch (request.url?.split('?')[0]) {
    case '/livez':
      return health(parts.alive());
    case '/readyz':
      return health(parts.ready());
    case '/metrics':
      return { status: 200, contentType: parts.registry.contentType, body: await parts.registry.metrics() };
    default:
      return { status: 404, contentType: 'text/plain', body: 'Here are /livez, /readyz and /metrics.\n' };
  }
}

function health({ reasons }: Health): Answer {
  const isWell = reasons.length === 0;
  const body = `${JSON.stringify({ ok: isWell, reasons }, null, 2)}\n`;
  return { status: isWell ? 200 : 503, contentType: 'application/json', body };
}
