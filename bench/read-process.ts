/**
 * Owns the processes that `npm run bench:read` measures: each reads the store in MinIO, and says itself what it took.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { MINIO_REGION, type Minio } from '../test/support/minio.ts';

export const BUCKET = 'plain';
export const PREFIX = 'read';
export const PLACE = `s3://${BUCKET}/${PREFIX}`;
const USAGE = new URL('usage.ts', import.meta.url).href;
const MAIN = fileURLToPath(new URL('../cli/main.ts', import.meta.url));
const SEARCH = fileURLToPath(new URL('read-search.ts', import.meta.url));

export interface Usage {
  /** From start to end; of a search by the library: from opening store and index to the last row. */
  wallMs: number;
  cpuMs: number;
  maxMiB: number;
  /** Lines of its output. */
  lines: number;
}

/** Runs the command to its end. @throws when it fails */
export async function runCommand(minio: Minio, cache: string, args: readonly string[]): Promise<Usage> {
  const s3 = ['--s3-endpoint', minio.endpoint, '--s3-region', MINIO_REGION, '--s3-path-style'];
  return await run(minio, cache, [MAIN, ...args, ...(args.includes(PLACE) ? s3 : [])]);
}

/** Runs a search by the library with the index that commands have made. */
export async function runSearch(minio: Minio, cache: string, asked: object): Promise<Usage> {
  const options = minio.options(BUCKET, PREFIX);
  return await run(minio, cache, [
    SEARCH,
    JSON.stringify({ ...asked, index: indexIn(cache) }),
    JSON.stringify(options),
  ]);
}

/** The one index in the cache directory. */
export function indexIn(cache: string): string {
  const files = fs.readdirSync(cache, { recursive: true, encoding: 'utf8' });
  const file = files.find((name) => name.endsWith('.sqlite'));
  if (file === undefined) throw new Error(`no index in ${cache}`);
  return path.join(cache, file);
}

async function run(minio: Minio, cache: string, words: readonly string[]): Promise<Usage> {
  const beganMs = performance.now();
  const child = spawn(process.execPath, ['--import', USAGE, ...words], {
    stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
    env: {
      ...process.env,
      AWS_ACCESS_KEY_ID: minio.rootUser,
      AWS_SECRET_ACCESS_KEY: minio.rootSecret,
      XDG_CACHE_HOME: cache,
    },
  });
  let lines = 0;
  let said = '';
  child.stdio[1]?.on('data', (part: Buffer) => {
    for (const byte of part) if (byte === 0x0a) lines += 1;
  });
  child.stdio[3]?.on('data', (part: Buffer) => (said += part.toString()));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`${words.join(' ')} ended with ${code}`);
  const wallMs = performance.now() - beganMs;
  const usage = JSON.parse(said) as { cpuMs: number; maxMiB: number; searchMs?: number };
  return { wallMs: usage.searchMs ?? wallMs, cpuMs: usage.cpuMs, maxMiB: usage.maxMiB, lines };
}
