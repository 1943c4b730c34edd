/**
 * Owns a stand-in for a sidecar's status port: real TLS, a certificate nobody trusts, client certificates asked for; what it answers is the test's.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { makeCertificates } from './certificates.ts';

export interface StatusPort {
  port: number;
  /** What `/link` answers from now on: an object as JSON, text as it is, a function by itself. */
  answer(next: object | string | ((request: IncomingMessage, response: ServerResponse) => void)): void;
  /** Requests so far. */
  asked(): number;
  /** Subject of the certificate that the newest client showed; null without one. */
  client(): string | null;
  /** A certificate of the same authority, as the operator shows it. */
  secureContext: SecureContext;
  close(): Promise<void>;
}

/** What a recorder in good health answers. */
export function healthyLink(
  changes: { token?: string; digest?: string; server?: object; gate?: object; auth?: object } = {},
): object {
  return {
    token: changes.token ?? 'token-1',
    status: {
      gate: { state: 'Open', reason: null, message: null, hint: null, ...changes.gate },
      stream: '01JDPS5T8Z0000000000000000',
      draining: false,
      version: '0.1.0',
      ...(changes.auth === undefined ? {} : { auth: changes.auth }),
    },
    configuration: {
      digest: changes.digest ?? `sha256:${'0'.repeat(64)}`,
      restart_needed: [],
      refused: null,
    },
    server: { port: 8080, listens: 'any', foreign_connections: [], ...changes.server },
  };
}

/** Made once: nobody looks at what they say. */
let certificates: Promise<{ key: Buffer; cert: Buffer }> | null = null;

async function readCertificates(): Promise<{ key: Buffer; cert: Buffer }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'status-port-'));
  try {
    await makeCertificates(folder);
    const key = await readFile(path.join(folder, 'private.key'));
    return { key, cert: await readFile(path.join(folder, 'public.crt')) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** @param at an address of the loopback network, and a port; default: any free one of 127.0.0.1 */
export async function startStatusPort(at: { host?: string; port?: number } = {}): Promise<StatusPort> {
  certificates ??= readCertificates();
  const { key, cert } = await certificates;
  let next: Parameters<StatusPort['answer']>[0] = healthyLink();
  let asked = 0;
  let client: string | null = null;
  const server = https.createServer(
    { key, cert, requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      asked += 1;
      const subject = (request.socket as TLSSocket).getPeerCertificate().subject?.CN;
      client = typeof subject === 'string' ? subject : null;
      if (typeof next === 'function') next(request, response);
      else response.end(typeof next === 'string' ? next : JSON.stringify(next));
    },
  );
  await new Promise<void>((bound, fail) => {
    server.once('error', fail);
    server.listen(at.port ?? 0, at.host ?? '127.0.0.1', bound);
  });
  return {
    port: (server.address() as AddressInfo).port,
    answer(given) {
      next = given;
    },
    asked: () => asked,
    client: () => client,
    secureContext: createSecureContext({ key, cert }),
    async close() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}
