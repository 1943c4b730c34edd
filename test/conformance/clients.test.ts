/**
 * Clients of the official SDK experience the same through the recorder as at the server: sessions, streams,
 * resumption, cancellation, push, questions of the server, several round trips.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeClientBehaviour } from '../support/client-behaviour.ts';
import { startFixtureServer } from '../support/fixture-server.ts';
import { startRecorderProcess } from '../support/recorder-process.ts';

describeClientBehaviour('the fixture server behind the recorder', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'clients-recorder-'));
  const server = await startFixtureServer();
  const recorder = await startRecorderProcess({ upstream: new URL(server.url).origin, directory });
  return {
    url: `${recorder.origin}/mcp`,
    async close() {
      await recorder.stop();
      await server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
});
