/** How the recorder in a pod comes to rest: asked by the pod's hook, told to end, or both, under load and without a store. */
import http from 'node:http';
import path from 'node:path';
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import { createS3Store } from '@mcp-recorder/recording/store/s3-store';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Minio, startMinio } from '../support/minio.ts';
import { eventually } from '../support/poll.ts';
import { type PodProcess, type PodSetting, setUpPod } from '../support/pod-process.ts';
import { type CallAnswer, call, type EchoServer, recordedCalls, startEcho, verifiedLines } from './scene.ts';

let server: EchoServer;
let pod: PodSetting;
let running: PodProcess;
let agents: http.Agent[];

async function begin(config: Record<string, Record<string, unknown>> = {}, store?: Minio): Promise<void> {
  agents = [];
  server = await startEcho();
  pod = await setUpPod(server.origin, store?.options('plain', 'drain') ?? null);
  await pod.deliver(pod.config(config));
  running = await pod.start();
  await running.ready();
}
afterEach(async () => {
  for (const agent of agents) agent.destroy();
  await running.stop('SIGKILL');
  await server.close();
  await pod.remove();
});

function keepingAgent(): http.Agent {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  agents.push(agent);
  return agent;
}

interface Drained {
  uploaded: boolean;
  exchanges: number;
}

/** Asks as the kubelet does for a preStop hook. */
async function drain(): Promise<Drained & { tookMs: number }> {
  const started = performance.now();
  const { status, body } = await running.ask(pod.drainPath, null);
  expect(status).toBe(200);
  return { ...(JSON.parse(body) as Drained), tookMs: performance.now() - started };
}

async function drainBegun(): Promise<void> {
  await eventually(async () => (await running.ask('/readyz', null)).status === 503, { withinMs: 2_000 });
}

const directoryStore = () => createDirectoryStore(path.join(pod.directory, 'store'));

describe('the hook of a pod', () => {
  beforeEach(() => begin());

  it('makes the pod unready at once; calls still pass for three seconds, on old connections and new ones, each told to close', async () => {
    const agent = keepingAgent();
    expect((await call(running.origin, 1, { agent })).connection).toBe('keep-alive');
    const drained = drain();
    await drainBegun();
    const answers: CallAnswer[] = [await call(running.origin, 2, { agent }), await call(running.origin, 3)];
    // Refusals are answers too.
    const refused = await fetch(`${running.origin}/mcp`, { method: 'POST', body: '{', headers: JSON_TYPE });
    expect([refused.status, refused.headers.get('connection')]).toEqual([400, 'close']);
    expect(answers).toEqual([
      { status: 200, connection: 'close', id: 2 },
      { status: 200, connection: 'close', id: 3 },
    ]);
    const { tookMs, uploaded } = await drained;
    expect(uploaded).toBe(true);
    expect(tookMs).toBeGreaterThan(2_900);
    expect(tookMs).toBeLessThan(8_000);
    await expect(call(running.origin, 4)).rejects.toThrow();
  });

  it('is answered when all is sealed as last and stored, and the process is there until it is told to end', async () => {
    await call(running.origin, 1);
    expect(await drain()).toMatchObject({ uploaded: true, exchanges: 1 });
    const lines = await verifiedLines(directoryStore());
    expect(lines.at(-1)).toMatchObject({ type: 'seal', seal: { last: true, how: 'shutdown' } });
    expect(await running.status()).toMatchObject({
      draining: true,
      gate: { state: 'Closed', reason: 'drained' },
    });
    expect((await running.ask('/livez', null)).status).toBe(200);
    const told = performance.now();
    expect(await running.stop()).toEqual({ code: 0, signal: null });
    expect(performance.now() - told).toBeLessThan(1_500);
  });

  it('leaves a process that ends by itself a few seconds later: in a pod that lives on it is made anew', async () => {
    await call(running.origin, 1);
    await drain();
    const answered = performance.now();
    // Who asks in between is still told.
    expect(await running.status()).toMatchObject({ draining: true });
    expect(await running.process.exited).toEqual({ code: 0, signal: null });
    const livedMs = performance.now() - answered;
    expect(livedMs).toBeGreaterThan(3_000);
    expect(livedMs).toBeLessThan(9_000);
  });

  it('may be asked twice: both are answered by the same drain', async () => {
    const first = drain();
    await drainBegun();
    const second = drain();
    const reports = await Promise.all([first, second]);
    expect(reports[1].tookMs).toBeLessThan(reports[0].tookMs);
    const third = await drain();
    expect(third.tookMs).toBeLessThan(1_000);
    expect(reports.map(({ uploaded }) => uploaded)).toEqual([true, true]);
  });

  it('waits for calls under way', async () => {
    const slow = call(running.origin, 1, { delay: 5_000 });
    await eventually(() => server.arrived.length === 1, { withinMs: 2_000 });
    const { tookMs } = await drain();
    expect(tookMs).toBeGreaterThan(4_000);
    expect((await slow).status).toBe(200);
    expect(recordedCalls(await verifiedLines(directoryStore()))).toEqual(new Map([[1, 'complete']]));
  });
});

const JSON_TYPE = { 'content-type': 'application/json' };

describe('a drain under load', () => {
  it('loses no call that is sent while endpoints tell of it, and has all of them in the store when it is answered', async () => {
    await begin();
    const failures: unknown[] = [];
    const answered: number[] = [];
    let next = 0;
    let going = true;
    async function caller(agent: http.Agent | false): Promise<void> {
      while (going) {
        const id = (next += 1);
        try {
          const { status } = await call(running.origin, id, { agent, delay: id % 7 });
          if (status === 200) answered.push(id);
          else failures.push(status);
        } catch (error) {
          failures.push(error);
        }
      }
    }
    const callers = [keepingAgent(), keepingAgent(), keepingAgent(), false, false].map((agent) =>
      caller(agent as http.Agent | false),
    );
    await eventually(() => answered.length > 200, { withinMs: 20_000 });
    const drained = drain();
    await drainBegun();
    const before = answered.length;
    // So long a Service may go on sending.
    const until = performance.now() + 2_000;
    await eventually(() => performance.now() > until, { withinMs: 5_000, everyMs: 50 });
    going = false;
    await Promise.all(callers);
    expect(answered.length).toBeGreaterThan(before + 100);
    expect(failures).toEqual([]);
    expect(await drained).toMatchObject({ uploaded: true, exchanges: answered.length });
    const recorded = recordedCalls(await verifiedLines(directoryStore()));
    expect([...recorded.keys()].sort((a, b) => a - b)).toEqual(answered.sort((a, b) => a - b));
    expect(new Set(recorded.values())).toEqual(new Set(['complete']));
  });
});

describe('the signal to end', () => {
  it('ends the lingering; what is under way and soon over is not cut', async () => {
    await begin();
    const short = call(running.origin, 1, { delay: 600 });
    await eventually(() => server.arrived.length === 1, { withinMs: 2_000 });
    const drained = running.ask(pod.drainPath, null).catch(() => null);
    await drainBegun();
    const told = performance.now();
    const exit = running.stop();
    expect((await short).status).toBe(200);
    expect(await exit).toEqual({ code: 0, signal: null });
    // Lingering alone would have taken longer.
    expect(performance.now() - told).toBeLessThan(2_000);
    await drained;
    expect(recordedCalls(await verifiedLines(directoryStore()))).toEqual(new Map([[1, 'complete']]));
  });

  it('cuts what would not be over in time, so that the recording has its end before the process is killed', async () => {
    await begin();
    const long = call(running.origin, 1, { delay: 20_000 });
    long.catch(() => {});
    await eventually(() => server.arrived.length === 1, { withinMs: 2_000 });
    const told = performance.now();
    expect(await running.stop()).toEqual({ code: 0, signal: null });
    expect(performance.now() - told).toBeLessThan(2_000);
    await expect(long).rejects.toThrow();
    const lines = await verifiedLines(directoryStore());
    expect(recordedCalls(lines)).toEqual(new Map([[1, 'cut']]));
    expect(lines.at(-1)).toMatchObject({ seal: { last: true } });
  });
});

describe('a drain without a store', () => {
  let minio: Minio;
  beforeEach(async () => {
    minio = await startMinio();
    await begin({ drain: { timeout: '1s' } }, minio);
  });
  afterEach(() => minio.stop());
  const stored = () => createS3Store(minio.options('plain', 'drain'));

  it('is answered when its time is over; the process goes on storing, until it is told to end', async () => {
    await call(running.origin, 1);
    minio.signal('SIGSTOP');
    const { uploaded, tookMs } = await drain();
    expect(uploaded).toBe(false);
    // 3 s for lingering, 2 s for ends, 10 s for uploads.
    expect(tookMs).toBeLessThan(17_000);
    minio.signal('SIGCONT');
    await eventually(async () => (await running.status()).watermarks.acked > 0, { withinMs: 20_000 });
    expect(await running.stop()).toEqual({ code: 0, signal: null });
    expect(recordedCalls(await verifiedLines(stored()))).toEqual(new Map([[1, 'complete']]));
  }, 60_000);

  it('ends with 1 when it is told to end and the store is still away; the next start stores the rest', async () => {
    await call(running.origin, 1);
    minio.signal('SIGSTOP');
    expect(await drain()).toMatchObject({ uploaded: false });
    const told = performance.now();
    expect(await running.stop()).toEqual({ code: 1, signal: null });
    expect(performance.now() - told).toBeLessThan(4_000);
    minio.signal('SIGCONT');
    running = await pod.start();
    await running.ready();
    expect(await running.stop()).toEqual({ code: 0, signal: null });
    expect(recordedCalls(await verifiedLines(stored()))).toEqual(new Map([[1, 'complete']]));
  }, 60_000);
});
