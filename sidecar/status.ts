/**
 * Owns the status port: what probes, monitoring and operators ask.
 * Invariants: it answers from memory, whatever state the spool, the store and the server are in; liveness depends on none of them. Over TLS,
 * where others than this machine reach it, only the operator is told more than whether the recorder lives, is ready, and what it counts; what
 * is recorded is only for who has the token of `live/live.ts`.
 */
import { constants } from 'node:crypto';
import type http from 'node:http';
import https from 'node:https';
import type { TLSSocket } from 'node:tls';
import type { Registry } from 'prom-client';
import { type MadeCertificate, operatorProblem } from './certificate.ts';
import type { Address } from './config/address.ts';
import { listenOn } from './listen.ts';
import type { Live } from './live/live.ts';

// An import would load more, and keep it (docs/adr/0006-memory-of-a-sidecar.md).
const { createServer } = process.getBuiltinModule('node:http');

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

/** `readiness` and `status` are asked at each request and must not wait for anything. */
export interface StatusParts {
  listen: Address;
  readiness(): Readiness;
  status(): object;
  registry: Registry;
  tls?: MadeCertificate & {
    /** The authorities in force, PEM. */
    operatorCa(): string;
  };
  /** What the operator asks in a pod. */
  link?: () => Promise<object>;
  /** Who may read the recording as it is made gets it here. */
  live?: Live;
  /** Who knows the path may ask for the drain; answered when it is done. */
  drain?: { path: string; run(): Promise<object> };
}

/** Starts the status port. @throws the error of `listen`, such as EADDRINUSE */
export async function createStatusServer(parts: StatusParts): Promise<StatusServer> {
  const limits = { requestTimeout: 10_000, headersTimeout: 5_000 };
  const { tls, live } = parts;
  const handle: http.RequestListener = (request, response) => {
    const failed = (error: unknown): void => {
      const why = error instanceof Error ? error.message : String(error);
      if (response.headersSent) response.destroy();
      else send(response, json(500, { error: `The recorder could not describe itself: ${why}` }));
    };
    if (live !== undefined && request.method === 'GET' && pathOf(request) === '/live') {
      live.answer(request, response).catch(failed);
      return;
    }
    answer(request, parts).then((reply) => send(response, reply), failed);
  };
  const server =
    tls === undefined
      ? createServer(limits, handle)
      : https.createServer({ ...limits, ...tlsOptions(tls) }, handle);
  const address = await listenOn(server, parts.listen);
  return {
    address,
    async close() {
      await live?.close();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

/** Clients may send a certificate; whose it is decides what they are told, not whether they may connect. */
function tlsOptions({ key, certificate }: MadeCertificate): https.ServerOptions {
  return {
    key,
    cert: certificate,
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: 10_000,
    // Each connection proves its key anew: a resumed session would stand for a certificate of some other time.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

async function answer(request: http.IncomingMessage, parts: StatusParts): Promise<Answer> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return json(405, { error: 'Only GET and HEAD are answered here.' });
  }
  switch (pathOf(request)) {
    case '/livez':
      return json(200, { alive: true });
    case '/readyz': {
      const readiness = parts.readiness();
      return json(readiness.ready ? 200 : 503, readiness);
    }
    case '/metrics':
      return { status: 200, contentType: parts.registry.contentType, body: await parts.registry.metrics() };
    case '/status':
      return forOperator(request, parts) ?? json(200, parts.status());
    case '/link':
      if (parts.link === undefined) break;
      return forOperator(request, parts) ?? json(200, await parts.link());
    case parts.drain?.path:
      if (request.method === 'GET') return json(200, (await parts.drain?.run()) ?? {});
  }
  const paths = ['/livez', '/readyz', '/metrics', '/status'];
  if (parts.link !== undefined) paths.push('/link');
  if (parts.live !== undefined) paths.push('/live');
  return json(404, { error: `This is the recorder's status port; it answers ${paths.join(', ')}.` });
}

function pathOf(request: http.IncomingMessage): string | undefined {
  return request.url?.split('?')[0];
}

/** The answer to who is not the operator; null for the operator, and without TLS, where only this machine asks. */
function forOperator(request: http.IncomingMessage, { tls }: StatusParts): Answer | null {
  if (tls === undefined) return null;
  const certificate = (request.socket as TLSSocket).getPeerX509Certificate();
  const problem = operatorProblem(certificate, tls.operatorCa(), Date.now());
  return problem === null ? null : json(403, { error: `This is only for the operator: ${problem}.` });
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
