/**
 * Owns the measure of the disk under the spool: what one pwrite of 2 KB and its fdatasync cost on a pre-allocated file.
 * Invariant: run by itself on the core of the proxies, between their turns, on the same file system as the spool.
 */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { runPinned } from './processes.ts';

const BYTES = 2_048;
const FILE_BYTES = 16 * 2 ** 20;

/** Durations in microseconds of `count` writes with their syncs. */
export async function measureDisk(core: number, directory: string, count: number): Promise<number[]> {
  const file = path.join(directory, 'disk-probe');
  const output = await runPinned(core, [
    process.execPath,
    fileURLToPath(import.meta.url),
    file,
    String(count),
  ]);
  return JSON.parse(output) as number[];
}

function probe(file: string, count: number): number[] {
  const fd = fs.openSync(file, 'w', 0o600);
  try {
    const zeros = Buffer.alloc(2 ** 20);
    for (let at = 0; at < FILE_BYTES; at += zeros.length) fs.writeSync(fd, zeros, 0, zeros.length, at);
    fs.fsyncSync(fd);
    const bytes = Buffer.alloc(BYTES, 'x');
    const durations: number[] = [];
    for (let index = 0; index < count; index += 1) {
      const began = performance.now();
      fs.writeSync(fd, bytes, 0, BYTES, (index * BYTES) % FILE_BYTES);
      fs.fdatasyncSync(fd);
      durations.push(Math.round((performance.now() - began) * 1_000));
    }
    return durations;
  } finally {
    fs.closeSync(fd);
    fs.rmSync(file);
  }
}

const [, script, file, count] = process.argv;
if (script === fileURLToPath(import.meta.url) && file !== undefined) {
  process.stdout.write(`${JSON.stringify(probe(file, Number(count)))}\n`);
}
