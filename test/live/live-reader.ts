/**
 * Owns a reader of a recorder's live endpoint, and an MCP server with answers of any size, for tests.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';

export interface LiveReader {
  response: http.IncomingMessage;
  /** All whole lines so far, parsed. */
  all(): Record<string, unknown>[];
  /** Those of the recording, as bytes. */
  recorded(): string[];
  ended: Promise<unknown>;
  close(): void;
}

export function tokenOf(directory: string): string {
  return readFileSync(path.join(directory, 'spool', 'live-token'), 'utf8').trim();
}

/** Connects and reads on. @param query `?stream=...&seq=...` */
export async function readLive(statusOrigin: string, token: string, query = ''): Promise<LiveReader> {
  const request = http.get(`${statusOrigin}/live${query}`, {
    headers: { authorization: `Bearer ${token}` },
    agent: false,
  });
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  let text = '';
  response.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
  });
  response.on('error', () => {});
  const lines = (): string[] => text.split('\n').slice(0, -1);
  return {
    response,
    all: () => lines().map((line) => JSON.parse(line) as Record<string, unknown>),
    recorded: () => lines().filter((line) => line.startsWith('{"v":1')),
    ended: new Promise((resolve) => response.once('close', resolve)),
    close: () => void request.destroy(),
  };
}

export interface EchoServer {
  origin: string;
  close(): void;
}

/** Answers each call with its text `times` times. */
export async function startEcho(): Promise<EchoServer> {
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { id, params } = JSON.parse(Buffer.concat(chunks).toString());
      const { text, times = 1 } = params.arguments;
      response.setHeader('content-type', 'application/json');
      const content = [{ type: 'text', text: text.repeat(times) }];
      response.end(JSON.stringify({ jsonrpc: '2.0', id, result: { content } }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** @returns the text that came back */
export async function call(origin: string, text: string, times = 1): Promise<string> {
  const response = await fetch(`${origin}/mcp`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'echo', arguments: { text, times } },
    }),
  });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  const answer = (await response.json()) as { result: { content: { text: string }[] } };
  return answer.result.content[0]?.text ?? '';
}
