/**
 * The small disk is a real one: full, read-only and frozen are what the kernel says, and nothing of it is left behind.
 */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  existsSync,
  fdatasyncSync,
  openSync,
  readFileSync,
  writeSync,
} from 'node:fs';
import { open, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { mountSmallDisk, type SmallDisk, smallDiskObstacle } from './small-disk.ts';

const obstacle = await smallDiskObstacle();

describe.skipIf(obstacle !== null)(`a small disk${obstacle === null ? '' : ` (${obstacle})`}`, () => {
  let disk: SmallDisk;
  let file: string;
  beforeEach(async () => {
    disk = await mountSmallDisk(16);
    file = path.join(disk.directory, 'file');
  });
  afterEach(() => disk.close());

  test('is full, also where space comes free, until it is freed', async () => {
    const other = path.join(disk.directory, 'other');
    await writeFile(other, Buffer.alloc(1_000_000));
    await disk.fill();
    await expect(writeFile(file, Buffer.alloc(100_000))).rejects.toMatchObject({ code: 'ENOSPC' });
    await rm(other);
    await expect
      .poll(() => writeFile(file, Buffer.alloc(900_000)).catch(({ code }) => code), { timeout: 5_000 })
      .toBe('ENOSPC');
    await disk.free();
    await writeFile(file, Buffer.alloc(5_000_000));
  });

  test('turns read-only under open files, and keeps what was synced', async () => {
    const fd = openSync(file, 'w');
    writeSync(fd, 'kept');
    fdatasyncSync(fd);
    await disk.turnReadOnly();
    expect(() => writeSync(fd, 'more')).toThrow(/EROFS/);
    expect(() => appendFileSync(path.join(disk.directory, 'new'), 'x')).toThrow(/EROFS/);
    closeSync(fd);
    await disk.repair();
    expect(readFileSync(file, 'utf8')).toBe('kept');
    appendFileSync(file, ' on');
  });

  test('makes syncs wait while it is frozen', async () => {
    const handle = await open(file, 'w');
    await disk.freeze();
    let synced = false;
    const write = async () => {
      await handle.write('late');
      await handle.datasync();
      synced = true;
    };
    const waiting = write();
    // Something else that takes a while passes first: the frozen disk still answers reads.
    for (let read = 0; read < 20; read += 1) await readFile('/proc/self/stat');
    execFileSync('sync', ['--version']);
    expect(synced).toBe(false);
    await disk.thaw();
    await waiting;
    await handle.close();
    expect(await readFile(file, 'utf8')).toBe('late');
  });

  test('leaves nothing behind, even when its user has files open', async () => {
    const fd = openSync(file, 'w');
    const { directory } = disk;
    await disk.close();
    expect(existsSync(directory)).toBe(false);
    expect(readFileSync('/proc/mounts', 'utf8')).not.toContain(directory);
    closeSync(fd);
  });
});
