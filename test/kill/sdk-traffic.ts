/**
 * Owns traffic of the official SDK's client through a recorder that is killed again and again: sessions that outlive the recorder,
 * streams that are resumed, calls of both eras. What each side received is written into the ledger.
 */
import type { IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { type FixtureServer, startFixtureServer } from '../support/fixture-server.ts';
import { type Ledger, openEntry, tokenOf } from '../support/ledger.ts';
import type { Driven, DriveOptions } from '../support/ledger-traffic.ts';

const TOOLS = [
  'test_simple_text',
  'test_tool_with_progress',
  'test_multiple_content_types',
  'test_tool_with_logging',
  'test_reconnection',
  'test_error_handling',
];
/** A call that was cut is given up soon: the client would wait a minute. */
const CALL_TIMEOUT_MS = 2_000;
const RETRY_MS = 30;
const PAUSE_MS = 20;

/** Starts the SDK's server; the ledger gets every byte of a request that reaches it. */
export function startSdkServer(ledger: Ledger): Promise<FixtureServer> {
  return startFixtureServer(0, (req) => writeDown(ledger, req));
}

/** Listens in where the HTTP parser hands bytes over: a second reader would set the stream flowing before the SDK reads. */
function writeDown(ledger: Ledger, req: IncomingMessage): void {
  const pieces: Buffer[] = [];
  let told = false;
  const push = req.push.bind(req);
  req.push = (piece: Buffer | null, encoding?: BufferEncoding) => {
    if (piece !== null) {
      pieces.push(piece);
      const token = told ? null : tokenOf(Buffer.concat(pieces).toString('utf8'));
      if (token !== null) {
        told = true;
        if (ledger.server.has(token)) ledger.repeated.push(token);
        openEntry(ledger.server, token).received = pieces;
      }
    }
    return push(piece, encoding);
  };
  req.once('close', () => {
    if (!told && pieces.length > 0) ledger.beginnings.push(Buffer.concat(pieces));
  });
}

/** `fetch` that writes down what it receives for a call, as it is read. */
function createWritingFetch(ledger: Ledger): typeof fetch {
  return async (url, init) => {
    const token = typeof init?.body === 'string' ? tokenOf(init.body) : null;
    if (token === null) return fetch(url, init);
    const entry = openEntry(ledger.client, token);
    const response = await fetch(url, init);
    entry.status = response.status;
    if (response.body === null) return response;
    const listener = new TransformStream<Uint8Array, Uint8Array>({
      transform(piece, controller) {
        entry.received.push(Buffer.from(piece));
        controller.enqueue(piece);
      },
    });
    const { status, statusText, headers } = response;
    return new Response(response.body.pipeThrough(listener), { status, statusText, headers });
  };
}

async function connect(ledger: Ledger, url: string, who: number): Promise<Client> {
  const client = new Client(
    { name: `kill-${who}`, version: '1.0.0' },
    { versionNegotiation: { mode: who % 2 === 0 ? 'legacy' : { pin: '2026-07-28' } } },
  );
  // What the transport meets when the recorder dies; the calls tell it too.
  client.onerror = () => {}; // oxlint-disable-line unicorn/prefer-add-event-listener -- no EventTarget
  await client.connect(
    new StreamableHTTPClientTransport(new URL(url), { fetch: createWritingFetch(ledger) }),
    { timeout: CALL_TIMEOUT_MS },
  );
  return client;
}

/** Lets SDK clients, every other one of the older era, call tools one after the other until told to stop. */
export async function driveSdkClients(
  ledger: Ledger,
  options: Pick<DriveOptions, 'url' | 'clients' | 'until'>,
): Promise<Driven> {
  const { until } = options;
  const driven: Driven = { completed: 0, failed: 0 };
  const drive = async (who: number) => {
    let client: Client | null = null;
    for (let call = 0; !until.aborted; call += 1) {
      try {
        client ??= await connect(ledger, options.url(), who);
        const token = `token-sdk-${who}-${call}`;
        const name = TOOLS[(who + call) % TOOLS.length] as string;
        await client.callTool(
          { name, arguments: { token } },
          { timeout: CALL_TIMEOUT_MS, onprogress: () => {} },
        );
        driven.completed += 1;
        await delay(PAUSE_MS);
      } catch {
        driven.failed += 1;
        await delay(RETRY_MS);
      }
    }
    await client?.close().catch(() => {});
  };
  await Promise.all(Array.from({ length: options.clients }, (_, who) => drive(who)));
  return driven;
}
