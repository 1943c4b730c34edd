/**
 * Owns `npm start`: a real MCP server with the recorder in front of it, storing to ./recordings.
 * Both take free ports of this machine. Ctrl-C seals the recording and says what is in it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { loadConfiguration } from '@mcp-recorder/sidecar/config/load';
import { describeFailure, EXIT } from '../cli/failure.ts';
import { type Running, runRecorder, stopSignal } from '../cli/recorder-run.ts';

const START_TIMEOUT_MS = 30_000;
const root = path.join(import.meta.dirname, '..');
const store = path.resolve('recordings');

const stop = stopSignal();
const port = await freePort();
const server = startServer(port);
try {
  await reachable(server, port);
  const flags = {
    upstream: `http://127.0.0.1:${port}/mcp`,
    store,
    name: 'everything',
    listen: '127.0.0.1:0',
    anonymous: true,
  };
  process.exitCode = await runRecorder(loadConfiguration({ flags }), stop, introduce);
} catch (error) {
  process.stderr.write(`${describeFailure(error)}\n`);
  process.exitCode = EXIT.failed;
} finally {
  server.kill();
}

function introduce({ url, statusUrl }: Running): void {
  const call = '--transport http --method tools/call --tool-name echo --tool-arg message=hello';
  process.stdout.write(`
A real MCP server (server-everything) runs behind the recorder.

  MCP endpoint  ${url}
  Call it       npx mcp-inspector --cli ${url} ${call}
  Recording     ${store} (readable some seconds after each call)
  Read it       npx mcp-recorder show recordings --last
  Verify it     npx mcp-recorder verify recordings
  Status        ${statusUrl}

Ctrl-C seals the recording and says what was recorded.

`);
}

/** In a process group of its own, so that a Ctrl-C ends the recorder first, while the server can still answer. */
function startServer(serverPort: number): ChildProcess {
  const entry = path.join(root, 'node_modules/@modelcontextprotocol/server-everything/dist/index.js');
  const child = spawn(process.execPath, [entry, 'streamableHttp'], {
    env: { PORT: String(serverPort) },
    stdio: 'ignore',
    detached: true,
  });
  process.once('exit', () => child.kill());
  return child;
}

async function freePort(): Promise<number> {
  const probe = net.createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port: free } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return free;
}

async function reachable(child: ChildProcess, serverPort: number): Promise<void> {
  const deadlineMs = Date.now() + START_TIMEOUT_MS;
  while (!(await connects(serverPort))) {
    if (child.exitCode !== null || Date.now() > deadlineMs) {
      throw new Error('The demo server (server-everything) did not start. Run npm ci and try again.');
    }
    await delay(50);
  }
}

function connects(serverPort: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(serverPort, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
