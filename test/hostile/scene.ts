/**
 * Owns the scene of the hostile-input tests: a raw client, the recorder, a raw server that answers what it is told to, and
 * the reading of everything that was recorded, by our reader and by DuckDB.
 * Invariant: the server keeps every request as the bytes that it got.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { MAX_LINE_BYTES } from '@mcp-recorder/recording/format/body';
import type { Line } from '@mcp-recorder/recording/format/line';
import { lineSchema } from '@mcp-recorder/recording/format/line-schema';
import { expect } from 'vitest';
import type { HttpMessage } from '../support/http-message.ts';
import { type Bytes, connectRaw, listenRaw, type RawServer } from '../support/raw-http.ts';
import { startTestRecorder, type TestRecorder } from '../support/recorder.ts';

export const PONG = '{"jsonrpc":"2.0","id":1,"result":{}}';
export const OK = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${PONG.length}\r\n\r\n${PONG}`;

/** How long anything may take before the recorder counts as hanging (ms). */
const PATIENCE_MS = 20_000;

export interface Scene {
  recorder: TestRecorder;
  server: RawServer;
  /** What the server got, by request target. */
  received: Map<string, HttpMessage>;
  /** What the server sends for a request to this target; `OK` for all others. Without a length it then closes. */
  answers: Map<string, Buffer>;
  /** Sends the bytes on a connection of their own; gives the recorder's answer to the client, byte for byte. */
  call(request: Bytes): Promise<HttpMessage>;
  /** A request like any other works, all the way to the server. */
  expectAlive(): Promise<void>;
  /** Drains; checks that `verify` is clean and that every line keeps the format; gives the lines. */
  finish(): Promise<Line[]>;
  close(): Promise<void>;
}

/** A POST of `body` to `target`, with `Content-Type: application/json` unless the headers name another. */
export function post(target: string, body: Bytes, headers = ''): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body) : Buffer.from(body);
  const type = /^content-type:/im.test(headers) ? '' : 'Content-Type: application/json\r\n';
  const head = `POST ${target} HTTP/1.1\r\nHost: h\r\n${type}${headers}Content-Length: ${bytes.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), bytes]);
}

export async function openScene(): Promise<Scene> {
  const received = new Map<string, HttpMessage>();
  const answers = new Map<string, Buffer>();
  const server = await listenRaw(async (connection) => {
    for (;;) {
      const request = await connection.message({ withinMs: 600_000 });
      const target = request.startLine.split(' ')[1] as string;
      received.set(target, request);
      const answer = answers.get(target);
      await connection.send(answer ?? OK);
      if (answer !== undefined) {
        connection.finish();
        return;
      }
    }
  });
  const recorder = await startTestRecorder({ upstream: server.origin });
  let healthy = 0;

  async function call(request: Bytes): Promise<HttpMessage> {
    const client = await connectRaw(recorder.port);
    try {
      // The recorder may refuse before it has read everything.
      await Promise.race([client.send(request).catch(() => {}), client.message({ withinMs: PATIENCE_MS })]);
      return await client.message({ withinMs: PATIENCE_MS });
    } finally {
      client.reset();
    }
  }

  return {
    recorder,
    server,
    received,
    answers,
    call,
    async expectAlive() {
      const target = `/alive/${healthy++}`;
      const answer = await call(post(target, '{"jsonrpc":"2.0","id":1,"method":"ping"}'));
      expect(answer.startLine).toBe('HTTP/1.1 200 OK');
      expect(answer.body.toString()).toBe(PONG);
      expect(received.has(target)).toBe(true);
    },
    async finish() {
      const lines = await recorder.finish();
      for (const line of lines) {
        expect(lineSchema.safeParse(line).error).toBeUndefined();
        const bytes = Buffer.byteLength(JSON.stringify(line));
        expect(bytes, `bytes of line ${line.seq}, ${line.type}`).toBeLessThanOrEqual(MAX_LINE_BYTES);
      }
      await expectDuckDbReads(path.join(recorder.directory, 'store'), lines);
      return lines;
    },
    async close() {
      await recorder[Symbol.asyncDispose]();
      await server.close();
    },
  };
}

/** The shipped views read the store whole: every line with its type and body, every exchange, every operation. */
async function expectDuckDbReads(store: string, lines: readonly Line[]): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  try {
    await connection.run(`SET VARIABLE store = '${store}'`);
    await connection.run(await readFile(new URL('../../schema/duckdb.sql', import.meta.url), 'utf8'));
    const rows = async (sql: string) => (await connection.runAndReadAll(sql)).getRowObjectsJson();
    const read = await rows(
      'SELECT seq::INTEGER AS seq, type, octet_length(encode(body))::INTEGER AS bytes FROM lines ORDER BY seq',
    );
    expect(read).toEqual(
      lines.map((line) => ({
        seq: line.seq,
        type: line.type,
        bytes: 'body' in line && line.body !== null ? Buffer.byteLength(line.body) : null,
      })),
    );
    const exchanges = new Set(lines.flatMap((line) => (line.type === 'request' ? [line.exchange] : [])));
    expect(await rows('SELECT * FROM exchanges')).toHaveLength(exchanges.size);
    const calls = lines.flatMap((line) => ('calls' in line ? (line.calls ?? []) : []));
    const unknown = lines.filter((line) => line.type === 'result' && line.operation === null);
    expect(await rows('SELECT * FROM operations')).toHaveLength(calls.length + unknown.length);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
