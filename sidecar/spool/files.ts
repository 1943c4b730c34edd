/**
 * Owns every file primitive of the spool; the names say what they guarantee. Passed in, so that tests can make each one wait, fail or kill.
 * Invariant: nothing else in the sidecar writes, syncs, renames, links or removes a file of the spool.
 */
import fs, { promises as fsp } from 'node:fs';
import path from 'node:path';
import { lockDirectory } from './lock.ts';

export type Callback = (error: NodeJS.ErrnoException | null) => void;

export interface SpoolFiles {
  /** Writes all of `bytes` at `position` (goes on after a short write); not durable before `syncData`. */
  write(fd: number, bytes: Uint8Array, position: number, done: Callback): void;
  /** fdatasync: what was written to `fd` before the call is on disk when `done(null)` is called. */
  syncData(fd: number, done: Callback): void;
  /** Creates a file (mode 0600) that must not exist and fills it with `size` zero bytes; on disk with its size and its name. */
  createZeroed(path: string, size: number): Promise<void>;
  /**
   * Writes a file (mode 0600) whole and on disk, or not at all: written as `<path>.tmp`, synced, renamed over `path`, directory synced.
   * A crash may leave the `.tmp`.
   */
  writeWhole(path: string, bytes: Uint8Array): Promise<void>;
  /** An existing file for `write`; never creates or cuts it. */
  openForWriting(path: string): Promise<number>;
  close(fd: number): Promise<void>;
  /** The whole file; with `into`, no more than has room there, and in that memory. */
  read(path: string, into?: Buffer): Promise<Buffer>;
  /** Size in bytes of an existing file. */
  size(path: string): Promise<number>;
  /** Names in a directory, in no order. */
  list(directory: string): Promise<string[]>;
  /** Renames within the spool and syncs both directories: the new name is on disk, and the old one is gone from it. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; absent is fine. Durable only after `syncDirectory`. */
  remove(path: string): Promise<void>;
  /** Removes an empty directory; absent is fine. */
  removeDirectory(path: string): Promise<void>;
  /** Creates a directory (mode 0700) and its parents where they are missing, each one's name on disk; one that is there is fine. */
  makeDirectory(path: string): Promise<void>;
  /** The names in this directory, as they are now, are on disk. */
  syncDirectory(path: string): Promise<void>;
  /** The file system's magic number (statfs(2) `f_type`) where `path` is. */
  fileSystemType(path: string): Promise<number>;
  /** Claims the directory for this process until the function it returns is called, or the process ends. @throws SpoolDirectoryError */
  lock(directory: string): () => void;
}

/** Zeros are written in pieces of this size, bytes. */
const ZEROS = Buffer.alloc(1024 * 1024);

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

async function ignoreAbsent(operation: Promise<void>): Promise<void> {
  try {
    await operation;
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

/** Creates `file`, lets `fill` write it, and syncs contents and size. What could not be finished is removed as far as that is possible. */
async function createSynced(
  file: string,
  flags: 'wx' | 'w',
  fill: (handle: fsp.FileHandle) => Promise<void>,
): Promise<void> {
  const handle = await fsp.open(file, flags, 0o600);
  try {
    try {
      await fill(handle);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    // The first error says what went wrong; a file that can't be removed now is found at the next start.
    await fsp.unlink(file).catch(() => {});
    throw error;
  }
}

async function writeAll(handle: fsp.FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    written += (await handle.write(bytes, written, bytes.length - written)).bytesWritten;
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await fsp.open(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Into the page cache, on the calling thread: a copy of some KiB costs less than the way to another thread and back. */
function write(fd: number, bytes: Uint8Array, position: number, done: Callback): void {
  try {
    for (let written = 0; written < bytes.length; ) {
      const count = fs.writeSync(fd, bytes, written, bytes.length - written, position + written);
      if (count === 0) throw Object.assign(new Error('write took no bytes'), { code: 'EIO' });
      written += count;
    }
  } catch (error) {
    process.nextTick(done, error);
    return;
  }
  done(null);
}

/** One large read, where `readFile` takes one for each 512 KiB and new memory for all of it. */
async function readInto(file: string, into: Buffer): Promise<Buffer> {
  const handle = await fsp.open(file, 'r');
  try {
    let length = 0;
    while (length < into.length) {
      const { bytesRead } = await handle.read(into, length, into.length - length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return into.subarray(0, length);
  } finally {
    await handle.close();
  }
}

async function makeDirectory(directory: string): Promise<void> {
  try {
    await fsp.mkdir(directory, 0o700);
  } catch (error) {
    const parent = path.dirname(directory);
    if (codeOf(error) === 'ENOENT' && parent !== directory) {
      await makeDirectory(parent);
      await makeDirectory(directory);
      return;
    }
    if (codeOf(error) !== 'EEXIST' || !(await fsp.stat(directory)).isDirectory()) throw error;
  }
  // Also when it was there: the process that made it may have died before this.
  await syncDirectory(path.dirname(directory));
}

/** The real disk. */
export const nodeSpoolFiles: SpoolFiles = {
  write,
  syncData: (fd, done) => fs.fdatasync(fd, done),
  async createZeroed(file, size) {
    await createSynced(file, 'wx', async (handle) => {
      for (let left = size; left > 0; left -= ZEROS.length) {
        await writeAll(handle, ZEROS.subarray(0, Math.min(left, ZEROS.length)));
      }
    });
    await syncDirectory(path.dirname(file));
  },
  async writeWhole(file, bytes) {
    const temporary = `${file}.tmp`;
    await createSynced(temporary, 'w', (handle) => writeAll(handle, bytes));
    await fsp.rename(temporary, file);
    await syncDirectory(path.dirname(file));
  },
  openForWriting: (file) =>
    new Promise((resolve, reject) => {
      fs.open(file, 'r+', (error, fd) => (error === null ? resolve(fd) : reject(error)));
    }),
  close: (fd) =>
    new Promise((resolve, reject) => {
      fs.close(fd, (error) => (error == null ? resolve() : reject(error)));
    }),
  read: (file, into) => (into === undefined ? fsp.readFile(file) : readInto(file, into)),
  size: async (file) => (await fsp.stat(file)).size,
  list: (directory) => fsp.readdir(directory),
  async rename(from, to) {
    await fsp.rename(from, to);
    const [before, after] = [path.dirname(from), path.dirname(to)];
    // The new name first: between the two syncs a power loss leaves two names rather than none.
    await syncDirectory(after);
    if (before !== after) await syncDirectory(before);
  },
  remove: (file) => ignoreAbsent(fsp.unlink(file)),
  removeDirectory: (directory) => ignoreAbsent(fsp.rmdir(directory)),
  makeDirectory,
  syncDirectory,
  fileSystemType: async (where) => (await fsp.statfs(where)).type,
  lock: lockDirectory,
};
