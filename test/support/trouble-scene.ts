/**
 * Owns a recorder in this process between a client and a server that a test plays by hand, with a disk and a store that the test may break.
 */
import { createMoodyStore, type Mood, type MoodyStore } from './moody-store.ts';
import { eventually } from './poll.ts';
import { connectRaw, listenRaw, type RawConnection, type RawServer } from './raw-http.ts';
import {
  createHeldFiles,
  type HeldFiles,
  startTestRecorder,
  type TestRecorder,
  type TestRecorderOptions,
} from './recorder.ts';

export const CALL = '{"jsonrpc":"2.0","id":"call-1","method":"tools/call","params":{"name":"echo"}}';
export const POST = `POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: ${CALL.length}\r\n\r\n${CALL}`;
export const OK =
  'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}';
const LAG_MS = 1_000;

export interface Status {
  configuration: string;
  gate: { state: string; reason: string | null; hint: string | null; unrecorded_exchanges: number | null };
  store: Record<string, unknown>;
  watermarks: { synced: number };
}

export interface TroubleScene extends AsyncDisposable {
  held: HeldFiles;
  moody: MoodyStore;
  server: RawServer;
  recorder: TestRecorder;
  status(): Promise<Status>;
  /** Waits for the gate to be in this state. */
  gate(state: string, withinMs?: number): Promise<Status>;
  /** A client; its connection is reset at the end. */
  connect(): Promise<RawConnection>;
  /** A call that the server answers; the first line of what the client gets. */
  answeredCall(): Promise<string>;
  refusedCall(): Promise<{ startLine: string; headers: Map<string, string>; error: unknown }>;
}

/** @param recording the bound for uploads is a second unless it says otherwise */
export async function startTroubleScene(
  recording: TestRecorderOptions['recording'],
  mood: Mood = 'well',
): Promise<TroubleScene> {
  const held = createHeldFiles();
  const server = await listenRaw();
  const clients: RawConnection[] = [];
  const made: { moody?: MoodyStore } = {};
  const recorder = await startTestRecorder({
    upstream: server.origin,
    files: held.files,
    recording: { maxUploadLagMs: LAG_MS, ...recording },
    wrapStore(real) {
      made.moody = createMoodyStore(real);
      made.moody.be(mood);
      return made.moody.store;
    },
  });
  const moody = made.moody as MoodyStore;

  async function status(): Promise<Status> {
    return (await (await fetch(`${recorder.statusOrigin}/status`)).json()) as Status;
  }
  async function connect(): Promise<RawConnection> {
    const client = await connectRaw(recorder.port);
    clients.push(client);
    return client;
  }

  return {
    held,
    moody,
    server,
    recorder,
    status,
    async gate(state, withinMs = 5_000) {
      await eventually(async () => (await status()).gate.state === state, { withinMs });
      return await status();
    },
    connect,
    async answeredCall() {
      const client = await connect();
      await client.send(POST);
      const upstream = await server.accept();
      await upstream.message();
      await upstream.send(OK);
      const { startLine } = await client.message();
      client.reset();
      return startLine;
    },
    async refusedCall() {
      const client = await connect();
      await client.send(POST);
      const { startLine, headers, body } = await client.message();
      return { startLine, headers: new Map(headers), error: JSON.parse(body.toString()) as unknown };
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.reset();
      held.failSyncs(null);
      held.release();
      moody.be('well');
      await server.close();
      await recorder[Symbol.asyncDispose]();
    },
  };
}
