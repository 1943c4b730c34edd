/**
 * Owns the MCP servers that tests run as processes: this project's fixture and the reference server from npm.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { freePort, type RunningProcess, startProcess } from './child-process.ts';

export interface ServerProcess {
  /** The MCP endpoint. */
  url: string;
  /** Its scheme, host and port: what a proxy is given as upstream. */
  origin: string;
  process: RunningProcess;
  stop(): Promise<unknown>;
}

/** Starts `fixture-server.ts` as a process of its own. */
export async function startFixtureProcess(): Promise<ServerProcess> {
  const script = fileURLToPath(new URL('./fixture-server.ts', import.meta.url));
  const child = await startProcess({ args: [script, '0'], ready: /listening on (http:\S+)/ });
  const url = child.ready[1] ?? '';
  return { url, origin: new URL(url).origin, process: child, stop: () => child.stop() };
}

/**
 * Starts `@modelcontextprotocol/server-everything`.
 * @param transport `streamableHttp` serves `/mcp`; `sse` (2024-11-05) serves `/sse` and `/message`.
 */
export async function startEverythingProcess(
  transport: 'streamableHttp' | 'sse' = 'streamableHttp',
): Promise<ServerProcess> {
  const script = createRequire(import.meta.url).resolve(
    '@modelcontextprotocol/server-everything/dist/index.js',
  );
  const port = await freePort();
  const child = await startProcess({
    args: [script, transport],
    env: { PORT: String(port) },
    ready: /(?:listening|running) on port/,
  });
  const origin = `http://127.0.0.1:${port}`;
  const url = `${origin}/${transport === 'sse' ? 'sse' : 'mcp'}`;
  // It only handles SIGINT, and then waits for its clients; nothing of it is worth waiting for.
  return { url, origin, process: child, stop: () => child.stop('SIGKILL') };
}
