/**
 * Owns the MCP server in Go (test/fixtures/go-mcp-server): builds it when that was not done yet, and runs it as a process.
 * Invariant: the program stands outside the repository, in a folder named by its sources; what stands there is whole.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { startProcess } from './child-process.ts';
import { findGo } from './go.ts';
import type { ServerProcess } from './server-process.ts';

const SOURCES = path.join(import.meta.dirname, '../fixtures/go-mcp-server');
const SOURCE_FILES = ['go.mod', 'go.sum', 'main.go'];
const run = promisify(execFile);

/** Builds the server, which takes some seconds the first time on a machine. @returns the program */
export async function buildGoMcpServer(): Promise<string> {
  const digest = createHash('sha256');
  for (const name of SOURCE_FILES) digest.update(fs.readFileSync(path.join(SOURCES, name)));
  const cache = process.env['XDG_CACHE_HOME'] || path.join(os.homedir(), '.cache');
  const folder = path.join(cache, 'mcp-recorder', `go-mcp-server-${digest.digest('hex').slice(0, 16)}`);
  const program = path.join(folder, 'go-mcp-server');
  if (fs.existsSync(program)) return program;
  const go = await findGo('the MCP server in another language is built from its sources');
  fs.mkdirSync(folder, { recursive: true });
  const unfinished = `${program}.${process.pid}`;
  try {
    await run(go, ['build', '-buildvcs=false', '-trimpath', '-o', unfinished, '.'], {
      cwd: SOURCES,
      env: { ...process.env, CGO_ENABLED: '0' },
    });
    fs.renameSync(unfinished, program);
  } finally {
    fs.rmSync(unfinished, { force: true });
  }
  return program;
}

export interface GoMcpServer extends ServerProcess {
  /** One line for each tool that was run since the last time this was asked. */
  takeExecuted(): string[];
}

/** @param directory a folder of the test's own: the server notes there what it runs */
export async function startGoMcpServer(directory: string): Promise<GoMcpServer> {
  const program = await buildGoMcpServer();
  const executed = path.join(directory, 'executed');
  const child = await startProcess({ program, args: [executed], ready: /listening on (http:\S+)/ });
  const url = child.ready[1] ?? '';
  return {
    url,
    origin: new URL(url).origin,
    process: child,
    stop: () => child.stop(),
    takeExecuted() {
      if (!fs.existsSync(executed)) return [];
      const lines = fs.readFileSync(executed, 'utf8').trimEnd().split('\n');
      fs.rmSync(executed);
      return lines;
    },
  };
}
