/** The conformance suites give the mock server the verdicts that they gave the server that was recorded. */
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { differences, runSuites } from '../../conformance/run.ts';
import { startRecorderProcess } from '../../support/recorder-process.ts';
import { startFixtureProcess } from '../../support/server-process.ts';
import { startReplay } from './scene.ts';

/** What needs the server itself. */
const NEEDS_THE_SERVER: Record<string, string> = {
  'server-sse-polling': 'the mock gives no event ids, so that no stream is resumed',
  'http-custom-header-server-validation':
    'what Mcp-Param-* must say follows from the schemas of tools, which only the server holds against a call',
};

it('the mock server earns the verdicts of the server that was recorded', async () => {
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'conformance-replay-'));
  try {
    const server = await startFixtureProcess();
    const recorder = await startRecorderProcess({ upstream: server.origin, directory });
    const recorded = await runSuites(`${recorder.origin}/mcp`);
    await recorder.stop();
    await server.stop();
    const replay = await startReplay(recorder.store);
    const replayed = await runSuites(replay.url);
    expect(await replay.process.stop('SIGINT')).toEqual({ code: 0, signal: null });
    const scenarios = recorded.flatMap(({ verdicts }) => Object.keys(verdicts));
    expect(scenarios.length).toBeGreaterThan(100);
    const others = differences(recorded, replayed).filter(
      (difference) =>
        !Object.keys(NEEDS_THE_SERVER).some((scenario) => difference.includes(`, ${scenario}:`)),
    );
    expect(others).toEqual([]);
  } finally {
    await fs.rm(directory, { recursive: true, force: true });
  }
}, 120_000);
