/** What `npm run build` makes runs where nothing else of the project is: in a folder of its own, started as its Dockerfile says. */
import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readStart } from '../../scripts/image/dockerfile.ts';
import { spawnProcess } from '../support/child-process.ts';
import { type PodProgram, setUpPod } from '../support/pod-process.ts';
import { call, startEcho, verifiedLines } from './scene.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
let folder: string;

beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-images-'));
  const script = path.join(ROOT, 'scripts/build.ts');
  await promisify(execFile)(process.execPath, [script, '--into', folder]);
}, 120_000);

afterAll(() => fs.rm(folder, { recursive: true, force: true }));

async function programOf(image: string): Promise<PodProgram> {
  const dockerfile = await fs.readFile(path.join(ROOT, `Dockerfile.${image}`), 'utf8');
  const { command, environment } = readStart(dockerfile);
  const inImage = (part: string) => part.replace(/^\/app\//, `${path.join(folder, image)}/`);
  return { args: command.slice(1).map(inImage), env: environment };
}

it('the recorder records a call and ends with everything stored', async () => {
  const server = await startEcho();
  const pod = await setUpPod(server.origin, null, await programOf('sidecar'));
  try {
    await pod.deliver();
    const running = await pod.start();
    await running.ready();
    expect(await call(running.origin, 7)).toMatchObject({ status: 200, id: 7 });
    expect(await running.stop()).toEqual({ code: 0, signal: null });
    const lines = await verifiedLines(createDirectoryStore(path.join(pod.directory, 'store')));
    expect(lines.map(({ type }) => type)).toContain('result');
  } finally {
    await pod.remove();
    await server.close();
  }
});

it('the operator says what it needs', async () => {
  const { args, env } = await programOf('operator');
  const operator = spawnProcess({ args, env: env ?? {}, ready: /usage: operator run --settings FILE/ });
  await operator.ready;
  expect(await operator.exited).toEqual({ code: 2, signal: null });
});

it.each(['sidecar', 'operator'])(
  'the content of the %s holds no sources, tests or typings',
  async (image) => {
    const files = await fs.readdir(path.join(folder, image), { recursive: true });
    expect(files.filter((file) => /\.(?:ts|map)$|^(?:cli|test|recording\/read)\//.test(file))).toEqual([]);
    expect(files).toContain('LICENSE');
  },
);
