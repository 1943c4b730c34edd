/**
 * The recorder between a client and a server changes no verdict of the MCP conformance suites, scenario by scenario.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { startRecorderProcess } from '../support/recorder-process.ts';
import {
  type ServerProcess,
  startEverythingProcess,
  startFixtureProcess,
} from '../support/server-process.ts';
import { differences, runSuites } from './run.ts';

const CLI = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));

const SERVERS: [name: string, start: () => Promise<ServerProcess>, deliberate: string[]][] = [
  ['the fixture server', startFixtureProcess, []],
  [
    'server-everything',
    startEverythingProcess,
    // It knows nothing of 2026-07-28 and does not look at the header. The recorder does, whoever is behind it: what is
    // recorded as one method must not be another for those who route or decide by the header.
    [
      '0.2 2026-07-28, tasks-request-headers: directly tasks-headers-reject-mismatched-method FAILURE, ' +
        'through the proxy tasks-headers-reject-mismatched-method SUCCESS',
    ],
  ],
];

test.each(SERVERS)(
  '%s earns the same verdicts through the recorder, and the recording verifies',
  async (_, start, deliberate) => {
    const directory = await mkdtemp(join(tmpdir(), 'conformance-recorder-'));
    // Two servers: announcements to one client's listeners must not depend on what the other run does.
    const [alone, behind] = await Promise.all([start(), start()]);
    try {
      const recorder = await startRecorderProcess({ upstream: behind.origin, directory });
      const [direct, through] = await Promise.all([
        runSuites(alone.url),
        runSuites(`${recorder.origin}/mcp`).finally(() => recorder.stop()),
      ]);
      expect(differences(direct, through)).toEqual(deliberate);
      expect(await recorder.stop()).toEqual({ code: 0, signal: null });
      const verify = [CLI, 'verify', recorder.store, '--expect-closed'];
      await promisify(execFile)(process.execPath, verify);
    } finally {
      await Promise.all([alone.stop(), behind.stop()]);
      await rm(directory, { recursive: true, force: true });
    }
  },
  120_000,
);
