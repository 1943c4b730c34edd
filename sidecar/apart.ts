/**
 * Owns work that is done apart, by a process that ends: what it loads (a schema language, YAML, X.509, fetch) would stay in the memory of a
 * recorder for ever, for one use (docs/adr/0006-memory-of-a-sidecar.md).
 * Invariant: such a process is told what it needs and nothing else: the environment of a pod holds secrets.
 */
import { execFile } from 'node:child_process';
import path from 'node:path';

/** A machine that is short of CPU takes its time to start a process (ms). */
const MOST_MS = 60_000;
const MOST_BYTES = 4 * 1024 * 1024;

export type Work = 'certificate-maker' | 'config/reader' | 'credential/fetch-token' | 'identity/fetch-keys';

/**
 * Runs a module of this folder with `input` as its standard input; gives its standard output.
 * @param signal ends the process, where its work may be called off
 * @throws Error when no process can be started, or when it fails; the error holds neither input nor output
 */
export function runApart(work: Work, input: string, signal?: AbortSignal): Promise<string> {
  const file = path.join(import.meta.dirname, work + path.extname(import.meta.filename));
  return new Promise((resolve, reject) => {
    const options = { env: {}, timeout: MOST_MS, maxBuffer: MOST_BYTES, ...(signal && { signal }) };
    const child = execFile(process.execPath, [file], options, (error, output, complaint) => {
      if (error === null) resolve(output);
      else reject(new Error(`${work} failed (${String(error.signal ?? error.code)}): ${complaint.trim()}`));
    });
    // One that ended before it read has said why.
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
  });
}
