/**
 * Owns the scene of the tests of treated answers: a raw client, a recorder under a policy, and a raw server that answers what the test says, piece
 * by piece.
 */
import type { Line } from '@mcp-recorder/recording/format/line';
import { lineSchema } from '@mcp-recorder/recording/format/line-schema';
import { expect } from 'vitest';
import type { RuleConfiguration } from '../../sidecar/config/access.ts';
import type { Masking } from '../../sidecar/exchange/masking/masking.ts';
import { compileRules } from '../../sidecar/exchange/rules/compile.ts';
import { createAnonymousIdentity } from '../../sidecar/identity/anonymous.ts';
import type { Policy } from '../../sidecar/policy.ts';
import { connectRaw, listenRaw, type RawConnection, type RawServer } from '../support/raw-http.ts';
import { startTestRecorder, type TestRecorder, type TestRecorderOptions } from '../support/recorder.ts';

const SERVER = { name: 'test', namespace: 'local', cluster: 'local', labels: {} };

/** A policy for everybody with these parts. */
export function policyWith(parts: {
  masking?: Partial<Masking>;
  rules?: Partial<RuleConfiguration>[];
}): Policy {
  const rules = (parts.rules ?? []).map((rule) => ({
    name: 'rule',
    when: 'true',
    action: 'Deny' as const,
    message: null,
    hideTools: false,
    ...rule,
  }));
  const compiled = rules.length === 0 ? null : compileRules(rules, SERVER);
  if (compiled !== null && !compiled.ok) throw new Error(JSON.stringify(compiled.problems));
  return {
    identity: createAnonymousIdentity(null),
    credential: null,
    callerToken: 'Forward',
    server: SERVER,
    rules: compiled?.rules ?? null,
    masking: { record: null, wire: null, ...parts.masking },
  };
}

export type ExchangeLine = Extract<Line, { type: 'request' | 'response' | 'event' | 'chunk' | 'end' }>;

export interface AnswerScene {
  recorder: TestRecorder;
  server: RawServer;
  /** Sends a request on a connection of its own; gives both ends of the exchange when the server has all of it. */
  exchange(request: string): Promise<{ client: RawConnection; upstream: RawConnection }>;
  /** As `exchange`, then sends the pieces, each by itself, and gives what the client got, until it has the end of it. */
  answer(request: string, pieces: readonly (Buffer | string)[]): Promise<Buffer>;
  /** Drains, verifies, checks every line against its schema. */
  finish(): Promise<Line[]>;
  close(): Promise<void>;
}

/** @param policy null for that of the configuration, which lets all pass and can be exchanged */
export async function openAnswerScene(
  policy: Policy | null,
  options: Omit<TestRecorderOptions, 'upstream' | 'policy'> = {},
): Promise<AnswerScene> {
  const server = await listenRaw();
  const recorder = await startTestRecorder({
    ...options,
    upstream: server.origin,
    ...(policy === null ? {} : { policy }),
  });
  const open: RawConnection[] = [];
  async function exchange(request: string): Promise<{ client: RawConnection; upstream: RawConnection }> {
    const client = await connectRaw(recorder.port);
    open.push(client);
    await client.send(Buffer.from(request));
    const upstream = await server.accept();
    await upstream.message();
    return { client, upstream };
  }
  return {
    recorder,
    server,
    exchange,
    async answer(request, pieces) {
      const { client, upstream } = await exchange(request);
      for (const piece of pieces) {
        await upstream.send(Buffer.from(piece as string));
        await new Promise((turn) => setImmediate(turn));
      }
      upstream.finish();
      await client.end();
      client.reset();
      return client.received();
    },
    async finish() {
      const lines = await recorder.finish();
      for (const line of lines) expect(lineSchema.safeParse(line).error).toBeUndefined();
      return lines;
    },
    async close() {
      for (const client of open) client.reset();
      await server.close();
      await recorder[Symbol.asyncDispose]();
    },
  };
}

/** A POST of one JSON-RPC message, after which the client wants no more on the connection. */
export function post(message: object | string, headers = ''): string {
  const body = typeof message === 'string' ? message : JSON.stringify(message);
  return `POST /mcp HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: application/json\r\n${headers}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

export const call = (id = 1, name = 'echo'): string =>
  post({ jsonrpc: '2.0', id, method: 'tools/call', params: { name } });
export const listTools = (id = 1): string => post({ jsonrpc: '2.0', id, method: 'tools/list' });
export const get = (headers = ''): string =>
  `GET /mcp HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAccept: text/event-stream\r\n${headers}\r\n`;

export const JSON_TYPE = 'Content-Type: application/json\r\n';
export const SSE_TYPE = 'Content-Type: text/event-stream\r\n';

/** A head with these header lines, of a body that ends with its connection or as the lines say. */
export const head = (headers: string, status = '200 OK'): string =>
  `HTTP/1.1 ${status}\r\n${headers}Connection: close\r\n\r\n`;
export const sized = (type: string, body: Buffer | string, headers = ''): string =>
  `${head(`${type}${headers}Content-Length: ${Buffer.byteLength(body)}\r\n`)}`;
export const chunk = (bytes: Buffer | string): Buffer =>
  Buffer.concat([
    Buffer.from(`${Buffer.byteLength(bytes).toString(16)}\r\n`),
    Buffer.from(bytes as string),
    Buffer.from('\r\n'),
  ]);
export const LAST_CHUNK = '0\r\n\r\n';

/** The server's lines of the exchange with this request target, or of the n-th exchange. */
export function serverLines(lines: readonly Line[], n = 0): ExchangeLine[] {
  const requests = lines.filter((line) => line.type === 'request');
  const exchange = requests[n]?.exchange;
  return lines.filter(
    (line): line is ExchangeLine =>
      'exchange' in line &&
      line.exchange === exchange &&
      (line.type === 'response' ||
        line.type === 'event' ||
        line.type === 'end' ||
        (line.type === 'chunk' && line.sender === 'server')),
  );
}

/** What the record shows of a body: `…` where nothing of it is. */
export function shown(lines: readonly ExchangeLine[]): string {
  return lines
    .map((line) => {
      if (!('body' in line)) return '';
      if (line.withheld !== undefined) return '…';
      if (line.type === 'event') return line.sse.prefix + line.body + line.sse.suffix;
      return line.body_encoding === 'base64'
        ? Buffer.from(line.body as string, 'base64').toString('latin1')
        : (line.body ?? '');
    })
    .join('');
}

export const endOf = (lines: readonly ExchangeLine[]) => {
  const end = lines.find((line) => line.type === 'end');
  if (end === undefined) throw new Error('the exchange has no end');
  return end.ended;
};

/** Wire bytes over all lines of the server. */
export const wireBytes = (lines: readonly ExchangeLine[]): number =>
  lines.reduce((sum, line) => sum + ('wire_bytes' in line ? line.wire_bytes : 0), 0);
