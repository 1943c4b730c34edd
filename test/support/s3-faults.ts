/**
 * Owns a reverse proxy in front of a real S3 server that replaces single answers, for what that server can't be made to say.
 * Invariant: what no fault was ordered for passes unchanged, Host header included, so that signatures hold.
 */
import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export interface SeenRequest {
  method: string;
  url: string;
  headers: http.IncomingHttpHeaders;
}

export interface Answer {
  status: number;
  headers?: Record<string, string>;
  body?: string;
}

export type Fault =
  /** Answered here; the server never sees it. */
  | { kind: 'answer'; answer: Answer }
  /** The server does it, and its answer is replaced. */
  | { kind: 'replace'; answer: (status: number) => Answer | null }
  /** The server does it, and the connection ends before its answer. */
  | { kind: 'lose-answer' }
  /** After so many bytes of the answer's body the connection ends, or nothing more comes. */
  | { kind: 'cut-answer' | 'stall-answer'; afterBytes: number }
  /** The connection ends before the server hears of it. */
  | { kind: 'cut' }
  /** Taken, and never answered. */
  | { kind: 'silence' };

export interface S3Faults {
  endpoint: string;
  port: number;
  /** All requests so far. */
  seen: SeenRequest[];
  /** The next request (that `matches`) gets it. */
  once(fault: Fault, matches?: (request: SeenRequest) => boolean): void;
  /** Every request that `matches` gets it, after those ordered by `once`. */
  always(fault: Fault, matches?: (request: SeenRequest) => boolean): void;
  /** Forgets what was ordered and seen. */
  reset(): void;
  close(): Promise<void>;
}

/** An answer as S3 stores give it; `more` = further elements. */
export function s3Error(status: number, code: string, message = 'as ordered', more = ''): Fault {
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message>${more}</Error>`;
  return { kind: 'answer', answer: { status, headers: { 'content-type': 'application/xml' }, body } };
}

/** @param serverPort of 127.0.0.1 */
export async function startS3Faults(serverPort: number): Promise<S3Faults> {
  const seen: SeenRequest[] = [];
  const orders: { fault: Fault; matches: (request: SeenRequest) => boolean; once: boolean }[] = [];
  const sockets = new Set<Socket>();
  const agent = new http.Agent({ keepAlive: true });

  function faultFor(request: SeenRequest): Fault | null {
    const order =
      orders.find(({ once, matches }) => once && matches(request)) ??
      orders.find(({ matches }) => matches(request));
    if (order === undefined) return null;
    if (order.once) orders.splice(orders.indexOf(order), 1);
    return order.fault;
  }

  function answer(outbound: http.ServerResponse, { status, headers = {}, body = '' }: Answer): void {
    outbound.writeHead(status, headers);
    outbound.end(body);
  }

  function forward(
    inbound: http.IncomingMessage,
    outbound: http.ServerResponse,
    onAnswer: (upstream: http.IncomingMessage) => void,
  ): void {
    const { method, url, rawHeaders } = inbound;
    const request = http.request({ port: serverPort, host: '127.0.0.1', method, path: url, agent });
    for (let n = 0; n + 1 < rawHeaders.length; n += 2) {
      const name = rawHeaders[n] as string;
      if (name.toLowerCase() !== 'connection') request.setHeader(name, rawHeaders[n + 1] as string);
    }
    request.on('response', onAnswer);
    request.on('error', () => inbound.socket.resetAndDestroy());
    inbound.on('close', () => {
      if (!inbound.complete) request.destroy();
    });
    outbound.on('close', () => {
      if (!outbound.writableFinished) request.destroy();
    });
    inbound.pipe(request);
  }

  const server = http.createServer((inbound, outbound) => {
    const request: SeenRequest = {
      method: inbound.method ?? '',
      url: inbound.url ?? '',
      headers: inbound.headers,
    };
    seen.push(request);
    const fault = faultFor(request);
    const hangUp = () => inbound.socket.resetAndDestroy();
    if (fault === null) {
      forward(inbound, outbound, (upstream) => {
        outbound.writeHead(upstream.statusCode ?? 0, upstream.rawHeaders);
        upstream.pipe(outbound);
      });
      return;
    }
    if (fault.kind === 'cut') {
      hangUp();
    } else if (fault.kind === 'answer') {
      inbound.resume();
      inbound.on('end', () => answer(outbound, fault.answer));
    } else if (fault.kind === 'silence') {
      inbound.resume();
    } else {
      forward(inbound, outbound, (upstream) => {
        if (fault.kind === 'lose-answer') {
          upstream.resume();
          upstream.on('end', hangUp);
          return;
        }
        const body: Buffer[] = [];
        upstream.on('data', (bytes: Buffer) => body.push(bytes));
        upstream.on('end', () => {
          const whole = Buffer.concat(body);
          const replaced = fault.kind === 'replace' ? fault.answer(upstream.statusCode ?? 0) : null;
          if (replaced !== null) return answer(outbound, replaced);
          outbound.writeHead(upstream.statusCode ?? 0, upstream.rawHeaders);
          if (fault.kind === 'replace') return outbound.end(whole);
          outbound.write(whole.subarray(0, fault.afterBytes), () => {
            if (fault.kind === 'cut-answer') hangUp();
          });
        });
      });
    }
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    port,
    seen,
    once: (fault, matches = () => true) => orders.push({ fault, matches, once: true }),
    always: (fault, matches = () => true) => orders.push({ fault, matches, once: false }),
    reset() {
      orders.length = 0;
      seen.length = 0;
    },
    async close() {
      agent.destroy();
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
}
