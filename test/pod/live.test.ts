/** Reading live from the recorder of a pod: off unless it is configured, over the status port's TLS, with its token. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import tls from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { call, type EchoServer, startEcho } from '../live/live-reader.ts';
import { spawnProcess, type SpawnedProcess } from '../support/child-process.ts';
import { type PodProcess, type PodSetting, setUpPod } from '../support/pod-process.ts';
import { eventually } from '../support/poll.ts';
import { CLI } from '../support/recorder-process.ts';

let echo: EchoServer;
let setting: PodSetting;
let pod: PodProcess;
let tail: SpawnedProcess | null = null;
beforeAll(async () => {
  echo = await startEcho();
});
afterAll(() => echo.close());
afterEach(async () => {
  await tail?.stop('SIGKILL');
  tail = null;
  await pod.stop('SIGKILL');
  await setting.remove();
});

async function start(live: boolean): Promise<void> {
  setting = await setUpPod(echo.origin);
  const tokenFile = path.join(setting.directory, 'readers-token');
  await writeFile(tokenFile, `${'t'.repeat(43)}\n`);
  await setting.deliver(setting.config(live ? { status: { live: { tokenFile } } } : {}));
  pod = await setting.start();
  await pod.ready();
}

function statusPort(): number {
  return Number(/"status":"127\.0\.0\.1:(\d+)"/.exec(pod.process.output())?.[1]);
}

describe('the live endpoint in a pod', () => {
  it('is not there unless it is configured, for the operator either', async () => {
    await start(false);
    await call(pod.origin, 'confidential');
    for (const as of [setting.operator, null]) {
      const { status, body } = await pod.ask('/live', as);
      expect([status, body]).toEqual([404, expect.not.stringContaining('confidential')]);
    }
  });

  it('needs the token, and no certificate of the operator stands for it', async () => {
    await start(true);
    await call(pod.origin, 'confidential');
    for (const as of [setting.operator, null]) {
      const { status, body } = await pod.ask('/live?stream=x', as);
      expect([status, body]).toEqual([401, expect.not.stringContaining('confidential')]);
    }
  });

  it('is followed by tail, which trusts the certificate that it was given and no other', async () => {
    await start(true);
    const socket = tls.connect({ port: statusPort(), host: '127.0.0.1', rejectUnauthorized: false });
    const pem = await new Promise<string>((resolve) => {
      socket.once('secureConnect', () => resolve(socket.getPeerX509Certificate()?.toString() ?? ''));
    });
    socket.destroy();
    const ca = path.join(setting.directory, 'recorder.crt');
    await writeFile(ca, pem);
    const args = [CLI, 'tail', '--live', `https://127.0.0.1:${statusPort()}`];
    args.push('--token-file', path.join(setting.directory, 'readers-token'), '--since', '1h', '--raw');
    tail = spawnProcess({ args: [...args, '--ca', ca], ready: /Following/ });
    await tail.ready;
    await call(pod.origin, 'hello');
    await eventually(() => tail?.stdout().includes('"type":"end"') === true, { withinMs: 10_000 });
    await tail.stop('SIGINT');
    const other = path.join(setting.directory, 'other.crt');
    await writeFile(other, setting.operator.cert);
    tail = spawnProcess({ args: [...args, '--ca', other], ready: /not followed live now: [^.]*certificate/ });
    await tail.ready;
    expect(tail.stdout()).toBe('');
  });
});
