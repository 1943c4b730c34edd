/**
 * A configuration that changes under a recorder that runs: what counts from which moment on, and what the recording says of it.
 */
import type { Line } from '@mcp-recorder/recording/format/line';
import { afterEach, describe, expect, it } from 'vitest';
import { loadConfiguration } from '../../sidecar/config/load.ts';
import type { Configuration } from '../../sidecar/config/schema.ts';
import { eventually } from '../support/poll.ts';
import type { RawConnection } from '../support/raw-http.ts';
import type { TestRecorderOptions } from '../support/recorder.ts';
import { OK, POST, startTroubleScene, type TroubleScene } from '../support/trouble-scene.ts';

let scene: TroubleScene;
let changes: number;

async function begin(recording: TestRecorderOptions['recording'] = {}): Promise<void> {
  scene = await startTroubleScene({ maxUploadLagMs: 30_000, ...recording });
  changes = 0;
  await scene.gate('Open');
}
afterEach(() => scene[Symbol.asyncDispose]());

/** Changes the recorder's section `recording`, as an operator whose key is `ed25519:K` does it; the answer is the new digest. */
async function change(recording: Partial<Configuration['recording']>): Promise<string> {
  const { server, recorder } = scene;
  const wanted = loadConfiguration({
    flags: {
      upstream: server.origin,
      store: `${recorder.directory}/store`,
      spool: `${recorder.directory}/spool`,
      listen: '127.0.0.1:0',
      name: 'test',
      anonymous: true,
    },
  });
  const digest = `sha256:${(changes += 1)}`;
  const all = { maxUploadLagMs: 30_000, ...recording };
  await recorder.recorder.reconfigure(
    { ...wanted, recording: { ...wanted.recording, ...all }, log: { level: 'silent' as never }, digest },
    'ed25519:K',
  );
  return digest;
}

const ends = (lines: Line[]) => lines.flatMap((line) => (line.type === 'end' ? [line.ended.how] : []));
const gaps = (lines: Line[]) => lines.flatMap((line) => (line.type === 'gap' ? [line.gap] : []));

function post(body: string): string {
  return `POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

/** A call that has reached the server. */
async function callUnderWay(): Promise<{ client: RawConnection; answer(): Promise<void> }> {
  const client = await scene.connect();
  await client.send(POST);
  const upstream = await scene.server.accept();
  await upstream.message();
  return { client, answer: () => upstream.send(OK) };
}

describe('the recording of a changed configuration', () => {
  it('states each change with digests and signer, and opens later segments with the last', async () => {
    await begin();
    expect(await scene.answeredCall()).toContain('200');
    const before = (await scene.status()).configuration;
    await change({ maxRequestBytes: 1_000 });
    scene.recorder.recorder.refuseConfiguration('sha256:bad', null);
    // So that what was said so far is sealed.
    await change({ maxUploadLagMs: 1_000 });
    await eventually(
      async () => (await scene.recorder.lines()).filter(({ type }) => type === 'seal').length === 1,
      { withinMs: 5_000 },
    );
    expect((await scene.status()).configuration).toBe('sha256:2');
    expect(await scene.answeredCall()).toContain('200');
    const lines = await scene.recorder.finish();
    expect(lines.flatMap((line) => (line.type === 'config' ? [line.config] : []))).toEqual([
      { kind: 'configuration', before, after: 'sha256:1', signed_by: 'ed25519:K' },
      { kind: 'configuration_refused', before: 'sha256:1', after: 'sha256:bad', signed_by: null },
      { kind: 'configuration', before: 'sha256:1', after: 'sha256:2', signed_by: 'ed25519:K' },
    ]);
    const opens = lines.flatMap((line) => (line.type === 'open' ? [line.open.config] : []));
    expect([opens[0], opens.at(-1)]).toEqual([before, 'sha256:2']);
  });

  it('says nothing when it is the same', async () => {
    await begin();
    await scene.answeredCall();
    await change({});
    changes = 0;
    await change({});
    const lines = await scene.recorder.finish();
    expect(lines.filter(({ type }) => type === 'config')).toHaveLength(1);
  });
});

describe('another limit for requests', () => {
  it('counts for requests that come after it; one that came before is held to what it found', async () => {
    await begin();
    const body = `{"jsonrpc":"2.0","id":1,"method":"x","params":{"pad":"${'x'.repeat(2_000)}"}}`;
    const early = await scene.connect();
    await early.send(post(body).slice(0, -1_500));
    // Its head has been read by the time that another request is answered.
    expect(await scene.answeredCall()).toContain('200');
    await change({ maxRequestBytes: 1_000 });
    const late = await scene.connect();
    await late.send(post(body));
    expect((await late.message()).startLine).toContain('413');
    await early.send(post(body).slice(-1_500));
    const upstream = await scene.server.accept();
    await upstream.message();
    await upstream.send(OK);
    expect((await early.message()).startLine).toContain('200');
    await change({ maxRequestBytes: 4_000 });
    const again = await scene.connect();
    await again.send(post(body));
    await scene.server.accept();
  });
});

describe('another answer to failure', () => {
  it('lets calls pass from then on while the disk fails, and counts them', async () => {
    await begin();
    scene.held.failSyncs('EIO');
    await scene.refusedCall();
    await scene.gate('Closed');
    await change({ onFailure: 'Open' });
    expect(await scene.answeredCall()).toContain('200');
    expect((await scene.gate('FailOpen')).gate.unrecorded_exchanges).toBe(1);
    scene.held.failSyncs(null);
    await scene.gate('Open', 15_000);
    const lines = await scene.recorder.finish();
    expect(gaps(lines)).toMatchObject([{ cause: 'spool_failed', exchanges: 1, exact: true }]);
    expect(lines.filter(({ type }) => type === 'config')).toHaveLength(1);
  });

  it('cuts what goes on unrecorded when nothing may do so any more, and still says how much that was', async () => {
    await begin({ onFailure: 'Open' });
    scene.held.failSyncs('EIO');
    expect(await scene.answeredCall()).toContain('200');
    await scene.gate('FailOpen');
    const { client } = await callUnderWay();
    await change({ onFailure: 'Closed' });
    await client.end();
    expect((await scene.refusedCall()).startLine).toContain('503');
    expect((await scene.status()).gate).toMatchObject({ state: 'Closed', unrecorded_exchanges: 2 });
    scene.held.failSyncs(null);
    await scene.gate('Open', 15_000);
    expect(await scene.answeredCall()).toContain('200');
    const lines = await scene.recorder.finish();
    expect(gaps(lines)).toMatchObject([{ exchanges: 2, exact: true }]);
    expect(ends(lines)).toEqual(['complete']);
  });

  it('lets go who waits for the store, as soon as calls may pass without it', async () => {
    await begin({ commit: 'ObjectStorage' });
    scene.moody.be('down');
    const client = await scene.connect();
    await client.send(POST);
    await scene.gate('Degraded');
    expect(scene.server.connections).toHaveLength(0);
    await change({ onFailure: 'Open', commit: 'ObjectStorage' });
    const upstream = await scene.server.accept();
    await upstream.message();
    await upstream.send(OK);
    expect((await client.message()).startLine).toContain('200');
    expect((await scene.status()).gate.state).toBe('Degraded');
    scene.moody.be('well');
    await scene.gate('Open');
    expect(ends(await scene.recorder.finish())).toEqual(['complete']);
  });
});

describe('another bound for uploads', () => {
  it('counts at once for a store that fails: a shorter one closes the gate, a longer one opens it', async () => {
    await begin({ maxUploadLagMs: 8_000 });
    scene.moody.be('down');
    await scene.answeredCall();
    await scene.gate('Degraded');
    await eventually(
      async () => Date.now() - Date.parse(String((await scene.status()).store['failing_since'])) > 1_500,
      {
        withinMs: 5_000,
        everyMs: 50,
      },
    );
    await change({ maxUploadLagMs: 1_000 });
    expect((await scene.status()).gate).toMatchObject({ state: 'Closed', reason: 'store_unreachable' });
    await change({ maxUploadLagMs: 60_000 });
    expect((await scene.status()).gate.state).toBe('Degraded');
    expect(await scene.answeredCall()).toContain('200');
  });

  it('does not refuse calls for what the longer one had let grow old', async () => {
    await begin();
    await scene.answeredCall();
    // Older than the bound that comes, and not sealed yet.
    await eventually(async () => Number((await scene.status()).store['lag_ms']) > 2_000, { withinMs: 5_000 });
    await change({ maxUploadLagMs: 1_000 });
    const states = new Set<string>();
    await eventually(
      async () => {
        const { gate, store } = await scene.status();
        states.add(gate.state);
        return store['lag_ms'] === 0;
      },
      { withinMs: 5_000 },
    );
    expect(await scene.answeredCall()).toContain('200');
    await eventually(
      async () => {
        const { gate, store } = await scene.status();
        states.add(gate.state);
        return store['lag_ms'] === 0;
      },
      { withinMs: 5_000 },
    );
    expect([...states]).toEqual(['Open']);
  });
});
