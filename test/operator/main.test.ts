/** The operator's command line: what it refuses before anything is begun, and how it ends. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, spawnProcess, startProcess } from '../support/child-process.ts';
import { settings } from './webhook/scene.ts';

let folder: string;
let file: string;
let kubeconfig: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'operator-main-'));
  file = path.join(folder, 'settings.yaml');
  kubeconfig = path.join(folder, 'kubeconfig');
  const ports = {
    webhook: { ...settings.webhook, port: await freePort() },
    status: { port: await freePort() },
  };
  await writeFile(file, JSON.stringify({ ...settings, ...ports }));
  const nobody = { server: `https://127.0.0.1:${await freePort()}` };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    clusters: [{ name: 'test', cluster: nobody }],
    users: [{ name: 'test', user: { token: 'none' } }],
  };
  await writeFile(kubeconfig, JSON.stringify(config));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function end(args: readonly string[], env: Record<string, string> = {}) {
  const operator = spawnProcess({ args: ['operator/main.ts', ...args], env, ready: /never/ });
  operator.ready.catch(() => {});
  return { ...(await operator.exited), output: operator.output() };
}

describe('the command line', () => {
  it.each([
    ['no command', [], /what to do is run or release/],
    ['two commands', ['run', 'release'], /what to do is run or release/],
    ['no settings', ['run'], /--settings FILE is missing/],
    ['a word that it does not know', ['run', '--setting', 'x'], /--setting.*\n\nusage: operator run/s],
    ['a file that is not there', ['run', '--settings', '/none'], /\/none can't be read: ENOENT/],
  ])('refuses %s with code 2, and says what would be right', async (_, args, message) => {
    const { code, output } = await end(args);
    expect(output).toMatch(message);
    expect(code).toBe(2);
  });

  it('refuses rules of the platform team that no recorder takes, with code 2 and the place', async () => {
    const wrong = path.join(folder, 'wrong.yaml');
    const rules = [{ name: 'wrong', when: 'mcp.tool ==', action: 'Deny' }];
    await writeFile(wrong, JSON.stringify({ ...settings, policy: { ...settings.policy, rules } }));
    const { code, output } = await end(['run', '--settings', wrong]);
    expect(output).toMatch(
      /correct the chart's values:\n {2}policy\.rules\[0\]\.when of the chart: line 1, column \d+: /,
    );
    expect(code).toBe(2);
  });

  it('refuses to run where no API server is known, with code 2', async () => {
    const nowhere = { KUBECONFIG: '', KUBERNETES_SERVICE_HOST: '' };
    const { code, output } = await end(['run', '--settings', file], nowhere);
    expect(output).toMatch(/^no API server is known: .* set KUBECONFIG/);
    expect(code).toBe(2);
  });
});

describe('a replica that no API server answers', () => {
  it('waits for one, and ends with code 0 when it is told to', async () => {
    const operator = await startProcess({
      args: ['operator/main.ts', 'run', '--settings', file],
      env: { KUBECONFIG: kubeconfig },
      ready: /Unreachable/,
    });
    expect(await operator.stop('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(operator.output()).toMatch(/"msg":"ended"/);
  });

  it('ends with code 1 and a line in its log when an error was not caught', async () => {
    const error = "setTimeout(() => { Promise.reject(new Error('nobody waits for this')); }, 500)";
    const operator = spawnProcess({
      args: ['--import', `data:text/javascript,${error}`, 'operator/main.ts', 'run', '--settings', file],
      env: { KUBECONFIG: kubeconfig },
      ready: /never/,
    });
    operator.ready.catch(() => {});
    expect(await operator.exited).toEqual({ code: 1, signal: null });
    const last = operator.output().trim().split('\n').at(-1) ?? '';
    expect(JSON.parse(last)).toMatchObject({
      level: 60,
      msg: 'the operator ends: an error was not caught',
      err: { message: 'nobody waits for this' },
    });
  });
});
