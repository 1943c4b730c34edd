/**
 * Owns every file primitive of the directory store; the names say what they guarantee. Passed in, so that tests can make each one fail or kill.
 * Invariant: nothing else in recording/store writes, syncs, links or removes a file.
 */
import { constants } from 'node:fs';
import fs from 'node:fs/promises';

export interface FileFacts {
  /** Bytes. */
  size: number;
  /** Epoch milliseconds of the last change of the contents. */
  modifiedMs: number;
  isFile: boolean;
}

/** A name in a directory; a symbolic link is neither file nor directory. */
export interface DirectoryEntry {
  name: string;
  isFile(): boolean;
  isDirectory(): boolean;
}

/** A new file, open for writing. */
export interface OpenFile {
  /** Writes some of `bytes` (at least one byte) at the file's end and answers how many; not durable before `sync`. */
  append(bytes: Uint8Array): Promise<number>;
  /** fsync: what was appended before the call is on disk, with the file's size. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface DirectoryFiles {
  /** Creates an empty file (mode 0640) that must not exist. */
  createExclusive(path: string): Promise<OpenFile>;
  /** Gives the file a second name; fails with EEXIST when the name is taken, so that nobody ever overwrites. */
  link(existing: string, added: string): Promise<void>;
  /** Takes a name away; durable only after `syncDirectory`. */
  unlink(path: string): Promise<void>;
  /** Creates one directory (mode 0750); EEXIST when it is there. Durable only after `syncDirectory` of its parent. */
  makeDirectory(path: string): Promise<void>;
  /** The names in this directory, as they are now, are on disk. */
  syncDirectory(path: string): Promise<void>;
  /** An existing regular file's contents are on disk. */
  syncFile(path: string): Promise<void>;
  /** Reads a regular file whole. Never follows a symbolic link and never waits for the other end of a pipe: ELOOP, EINVAL. */
  read(path: string): Promise<Buffer>;
  /** What `path` itself is (a symbolic link is neither file nor directory), or null when there is nothing. */
  facts(path: string): Promise<FileFacts | null>;
  list(directory: string): Promise<DirectoryEntry[]>;
}

const READ_ONLY_REGULAR = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Opens what is at `path`, runs `use` on it, closes it whatever happens. */
async function withOpen<T>(
  path: string,
  flags: number,
  use: (handle: fs.FileHandle) => Promise<T>,
): Promise<T> {
  const handle = await fs.open(path, flags);
  try {
    return await use(handle);
  } finally {
    await handle.close();
  }
}

async function requireRegular(handle: fs.FileHandle, path: string): Promise<void> {
  if ((await handle.stat()).isFile()) return;
  throw Object.assign(new Error(`${path} is not a regular file`), { code: 'EINVAL' });
}

/** The real disk. */
export const nodeDirectoryFiles: DirectoryFiles = {
  async createExclusive(path) {
    const handle = await fs.open(path, 'wx', 0o640);
    return {
      append: async (bytes) => (await handle.write(bytes)).bytesWritten,
      sync: () => handle.sync(),
      close: () => handle.close(),
    };
  },
  link: (existing, added) => fs.link(existing, added),
  unlink: (path) => fs.unlink(path),
  makeDirectory: (path) => fs.mkdir(path, 0o750),
  syncDirectory: (path) =>
    withOpen(path, constants.O_RDONLY | constants.O_DIRECTORY, (handle) => handle.sync()),
  syncFile: (path) =>
    withOpen(path, READ_ONLY_REGULAR, async (handle) => {
      await requireRegular(handle, path);
      await handle.sync();
    }),
  read: (path) =>
    withOpen(path, READ_ONLY_REGULAR, async (handle) => {
      await requireRegular(handle, path);
      return await handle.readFile();
    }),
  async facts(path) {
    try {
      const stats = await fs.lstat(path);
      return { size: stats.size, modifiedMs: stats.mtimeMs, isFile: stats.isFile() };
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : null;
      if (code === 'ENOENT' || code === 'ENOTDIR') return null;
      throw error;
    }
  },
  list: (directory) => fs.readdir(directory, { withFileTypes: true }),
};
