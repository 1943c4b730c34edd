/** The recorder's process in a pod: what it starts on, what it says of itself, what it takes over while it runs. */
import net from 'node:net';
import os from 'node:os';
import fs from 'node:fs/promises';
import path from 'node:path';
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import { createS3Store } from '@mcp-recorder/recording/store/s3-store';
import { configurationDigest } from '@mcp-recorder/sidecar/config/signature';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startMinio } from '../support/minio.ts';
import { createAuthority } from '../support/operator-authority.ts';
import { type PodProcess, type PodSetting, setUpPod } from '../support/pod-process.ts';
import { eventually } from '../support/poll.ts';
import { call, type EchoServer, recordedCalls, startEcho, verifiedLines } from './scene.ts';

let server: EchoServer;
let pod: PodSetting;
let running: PodProcess | null;

beforeEach(async () => {
  running = null;
  server = await startEcho('0.0.0.0');
  pod = await setUpPod(server.origin);
});
afterEach(async () => {
  await running?.stop('SIGKILL');
  await server.close();
  await pod.remove();
});

async function start(): Promise<PodProcess> {
  running = await pod.start();
  await running.ready();
  return running;
}

/** Ends the process, and gives what it recorded, once `verify` is content with it. */
async function recorded(process: PodProcess) {
  expect(await process.stop()).toEqual({ code: 0, signal: null });
  return await verifiedLines(createDirectoryStore(path.join(pod.directory, 'store')));
}

/** With a limit that calls can reach. */
const limited = () => {
  const config = pod.config();
  return { ...config, recording: { ...(config['recording'] as object), maxRequestBytes: '1Ki' } };
};
const digestOf = (config: object) =>
  configurationDigest(pod.mounted.namespace, pod.mounted.server, {
    'config.yaml': JSON.stringify(config, null, 1),
  });

describe('what the process starts on', () => {
  it('is said on each open line: pod, image, configuration, session key', async () => {
    await pod.deliver();
    const process = await start();
    expect((await call(process.origin, 1)).status).toBe(200);
    const lines = await recorded(process);
    expect(lines.find((line) => line.type === 'open')?.open).toMatchObject({
      cluster: 'prod',
      namespace: 'tools',
      server: 'github',
      pod: 'github-mcp-6c9f-x2x7k',
      pod_uid: '7f1c0d9e-5b1a-4a51-9a2e-0d6b0a7a1f42',
      image: 'registry.example/mcp-recorder@sha256:5f70bf18',
      config: digestOf(pod.config()),
      // Of the key that all pods of the server have.
      session_key_id: 'shared-4bb06f8e',
    });
  });

  it.each<[string, () => Promise<void>, RegExp]>([
    ['nothing', async () => {}, /it has no file signature/],
    [
      'files without a signature',
      () => pod.mounted.deliverAsIs({ 'config.yaml': JSON.stringify(pod.config()) }),
      /it has no file signature/,
    ],
    [
      'files that were changed after signing',
      () => {
        const signed = pod.mounted.sign({ 'config.yaml': JSON.stringify(pod.config()) });
        const open = { ...pod.config(), recording: { onFailure: 'Open' } };
        return pod.mounted.deliverAsIs({ ...signed, 'config.yaml': JSON.stringify(open) });
      },
      /it is not signed for tools\/github by a key that this recorder trusts/,
    ],
    [
      'what is signed and makes no sense',
      () => pod.deliver({ ...pod.config(), log: { level: 'loud' } }),
      /log\.level: found "loud"/,
    ],
  ])('is not %s: exit code 2, why, and nothing recorded', async (_, deliver, why) => {
    await deliver();
    const process = pod.spawn();
    await expect(process.ready).rejects.toThrow('ended with 2');
    expect(process.output()).toMatch(/^mcp-recorder: /);
    expect(process.output()).toMatch(why);
    expect(await fs.readdir(pod.directory)).not.toContain('spool');
  });

  it("is not another server's configuration, and not that of an operator it does not know", async () => {
    await pod.deliver();
    for (const environment of [{ MCP_RECORDER_SERVER: 'gitlab' }, { MCP_RECORDER_CONFIG_KEYS: OTHER_KEY }]) {
      const process = pod.spawn(environment);
      await expect(process.ready).rejects.toThrow('ended with 2');
      expect(process.output()).toContain('it is not signed for tools/');
    }
  });

  it('is no environment that lacks something: all of it is told', async () => {
    await pod.deliver();
    const process = pod.spawn({ POD_UID: '', MCP_RECORDER_SESSION_KEY: 'secret' });
    await expect(process.ready).rejects.toThrow('ended with 2');
    expect(process.output()).toContain('POD_UID: missing');
    expect(process.output()).toContain('MCP_RECORDER_SESSION_KEY: needs base64 of 32 bytes');
    expect(process.output()).not.toContain('secret');
  });
});

const OTHER_KEY = 'ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=';

describe('the link', () => {
  it('tells the operator which pod this is, how it is, and what it runs on', async () => {
    await pod.deliver();
    const process = await start();
    const link = await process.link();
    expect(link).toMatchObject({
      token: 'header.claims.signature',
      status: { name: 'github', gate: { state: 'Open' } },
      configuration: { digest: digestOf(pod.config()), restart_needed: [], refused: null },
      server: { port: server.port, listens: 'any', foreign_connections: [] },
    });
    expect(link.status.configuration).toBe(link.configuration['digest']);
    await fs.writeFile(pod.tokenFile, 'renewed');
    expect(await process.link()).toMatchObject({ token: 'renewed' });
    await fs.rm(pod.tokenFile);
    expect(await process.link()).toMatchObject({ token: null });
  });

  it('and the status are for nobody but the operator', async () => {
    await pod.deliver();
    const process = await start();
    const stranger = await (await createAuthority()).issue();
    for (const asked of ['/link', '/status']) {
      for (const as of [null, stranger]) {
        const { status, body } = await process.ask(asked, as);
        expect([status, body]).toEqual([403, expect.stringContaining('This is only for the operator')]);
        expect(body).not.toContain('claims');
      }
    }
    for (const asked of ['/livez', '/readyz', '/metrics']) {
      expect((await process.ask(asked, null)).status).toBe(200);
    }
  });

  const ownAddress = Object.values(os.networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4')?.address;

  it.skipIf(ownAddress === undefined)(
    'names who is connected to the server around the recorder',
    async () => {
      await pod.deliver();
      const process = await start();
      expect((await call(process.origin, 1)).status).toBe(200);
      const around = net.connect({
        port: server.port,
        host: '127.0.0.1',
        localAddress: ownAddress as string,
      });
      await new Promise((resolve) => around.once('connect', resolve));
      const { port } = around.address() as net.AddressInfo;
      expect((await process.link()).server).toMatchObject({ foreign_connections: [`${ownAddress}:${port}`] });
      around.destroy();
      await eventually(
        async () => expect((await process.link()).server).toMatchObject({ foreign_connections: [] }),
        { withinMs: 5_000 },
      );
    },
  );
});

describe('the authorities of the store', () => {
  it('are those of the signed file beside the configuration, from its delivery on; until one fits the pod is not ready', async () => {
    const minio = await startMinio({ tls: true });
    const wrong = (await createAuthority()).pem;
    const right = await fs.readFile(String(minio.caFile), 'utf8');
    const inBucket = await setUpPod(server.origin, minio.options('plain', 'tls'));
    try {
      await inBucket.deliver(inBucket.config(), { 'store-ca.crt': wrong });
      running = await inBucket.start();
      const process = running;
      await eventually(async () => (await process.status()).gate.reason === 'store_misconfigured', {
        withinMs: 10_000,
      });
      expect((await process.ask('/readyz', null)).status).toBe(503);
      await inBucket.deliver(inBucket.config(), { 'store-ca.crt': right });
      await process.ready();
      expect((await process.status()).reload).toEqual({ restart_needed: [], refused: null });
      expect((await call(process.origin, 1)).status).toBe(200);
      expect(await process.stop()).toEqual({ code: 0, signal: null });
      const store = createS3Store(minio.options('plain', 'tls'));
      expect([...recordedCalls(await verifiedLines(store)).values()]).toEqual(['complete']);
    } finally {
      await running?.stop('SIGKILL');
      await inBucket.remove();
      await minio.stop();
    }
  });
});

describe('a configuration that is delivered to a process that runs', () => {
  it('is taken over without a restart, and the recording says when, and by whom', async () => {
    await pod.deliver();
    const process = await start();
    expect((await call(process.origin, 1, { padding: 2_000 })).status).toBe(200);
    await pod.deliver(limited());
    await eventually(async () => (await process.status()).configuration === digestOf(limited()), {
      withinMs: 10_000,
    });
    expect((await call(process.origin, 2, { padding: 2_000 })).status).toBe(413);
    expect((await call(process.origin, 3)).status).toBe(200);
    expect((await process.link()).configuration).toEqual({
      digest: digestOf(limited()),
      restart_needed: [],
      refused: null,
    });
    const lines = await recorded(process);
    expect(lines.flatMap((line) => (line.type === 'config' ? [line.config] : []))).toEqual([
      {
        kind: 'configuration',
        before: digestOf(pod.config()),
        after: digestOf(limited()),
        signed_by: pod.mounted.publicKeyText,
      },
    ]);
  });

  it('names what needs a restart, and takes over the rest', async () => {
    await pod.deliver();
    const process = await start();
    const wanted = { ...limited(), cluster: 'other', limits: { memory: '128Mi' } };
    await pod.deliver(wanted);
    await eventually(async () => (await process.status()).reload.restart_needed.length > 0, {
      withinMs: 10_000,
    });
    expect((await process.link()).configuration).toEqual({
      digest: digestOf(wanted),
      restart_needed: ['cluster', 'limits'],
      refused: null,
    });
    expect((await call(process.origin, 1, { padding: 2_000 })).status).toBe(413);
    const lines = await recorded(process);
    expect(lines.flatMap((line) => (line.type === 'open' ? [line.open.cluster] : []))).not.toContain('other');
  });

  it('changes nothing when the operator has not signed it; that is recorded once, logged, and told', async () => {
    await pod.deliver();
    const process = await start();
    const signed = pod.mounted.sign({ 'config.yaml': JSON.stringify(pod.config(), null, 1) });
    const tampered = { ...signed, 'config.yaml': JSON.stringify(limited()) };
    const refused = expect.stringContaining('not signed for tools/github');
    for (const files of [tampered, signed, tampered]) {
      await pod.mounted.deliverAsIs(files);
      const reason = files === signed ? null : refused;
      await eventually(async () => expect((await process.status()).reload.refused).toEqual(reason), {
        withinMs: 10_000,
      });
    }
    expect((await process.status()).configuration).toBe(digestOf(pod.config()));
    expect((await call(process.origin, 1, { padding: 2_000 })).status).toBe(200);
    expect(process.process.output()).toMatch(
      /"level":40,[^\n]*the configuration stays as it was: it is not signed/,
    );
    const lines = await recorded(process);
    expect(lines.flatMap((line) => (line.type === 'config' ? [line.config] : []))).toEqual([
      {
        kind: 'configuration_refused',
        before: digestOf(pod.config()),
        after: configurationDigest('tools', 'github', tampered),
        signed_by: null,
      },
    ]);
    expect(lines.filter((line) => line.type === 'open').map((line) => line.open.config)).toEqual([
      digestOf(pod.config()),
    ]);
  });

  it('changes nothing when it is signed and makes no sense', async () => {
    await pod.deliver();
    const process = await start();
    await pod.deliver({ ...pod.config(), recording: { maxUploadLag: 'soon' } });
    await eventually(
      async () =>
        expect((await process.status()).reload.refused).toContain('recording.maxUploadLag: found "soon"'),
      { withinMs: 10_000 },
    );
    const lines = await recorded(process);
    expect(lines.flatMap((line) => (line.type === 'config' ? [line.config] : []))).toMatchObject([
      { kind: 'configuration_refused', signed_by: pod.mounted.publicKeyText },
    ]);
  });

  it('brings rules and masks, each delivery whole; one with a wrong rule changes nothing', async () => {
    const rule = { name: 'no-echo', when: 'mcp.tool == "echo"', action: 'Deny' };
    const withRule = (changed: object) => ({ ...pod.config(), rules: [{ ...rule, ...changed }] });
    await pod.deliver();
    const process = await start();
    expect((await call(process.origin, 1)).status).toBe(200);
    await pod.deliver(withRule({}));
    await eventually(async () => (await process.status()).configuration === digestOf(withRule({})), {
      withinMs: 10_000,
    });
    expect((await call(process.origin, 2)).id).toBe(2);
    expect(server.arrived).toEqual([1]);

    await pod.deliver(withRule({ when: 'mcp.tol == "echo"' }));
    await eventually(
      async () =>
        expect((await process.status()).reload.refused).toContain(
          'rules[0].when (line 1, column 5): No such key: tol',
        ),
      { withinMs: 10_000 },
    );
    await call(process.origin, 3);
    expect(server.arrived).toEqual([1]);
    await pod.deliver();
    await eventually(async () => (await process.status()).configuration === digestOf(pod.config()), {
      withinMs: 10_000,
    });
    await call(process.origin, 4);
    expect(server.arrived).toEqual([1, 4]);
    const lines = await recorded(process);
    expect(lines.flatMap((line) => (line.type === 'config' ? [line.config.kind] : []))).toEqual([
      'configuration',
      'configuration_refused',
      'configuration',
    ]);
  });

  it('brings other files of a credential only with the next pod, which has them', async () => {
    await pod.deliver();
    const process = await start();
    const credential = { bearer: { tokenFile: '/run/secrets/mcp/token' } };
    await pod.deliver(pod.config({ server: { credential } }));
    await eventually(async () => (await process.status()).reload.restart_needed.length > 0, {
      withinMs: 10_000,
    });
    expect((await process.status()).reload.restart_needed).toEqual(['server.credential']);
    expect((await call(process.origin, 1)).status).toBe(200);
  });

  it('brings another authority of the operator, and the certificates of the old one are worth nothing then', async () => {
    await pod.deliver();
    const process = await start();
    const next = await createAuthority();
    const certificate = await next.issue();
    expect((await process.ask('/link', certificate)).status).toBe(403);
    const config = pod.config();
    await pod.deliver({ ...config, status: { ...(config['status'] as object), operatorCa: next.pem } });
    await eventually(async () => (await process.ask('/link', certificate)).status === 200, {
      withinMs: 10_000,
    });
    expect((await process.ask('/link')).status).toBe(403);
  });

  it('sets what is logged', async () => {
    await pod.deliver();
    const process = await start();
    await pod.deliver({ ...pod.config(), log: { level: 'error' } });
    await eventually(async () => (await process.status()).configuration !== digestOf(pod.config()), {
      withinMs: 10_000,
    });
    await process.stop();
    expect(process.process.output()).not.toContain('draining');
  });
});
