/**
 * Owns every file primitive of the spool; the names say what they guarantee. Passed in, so that tests can make each one wait, fail or kill.
 * Invariant: nothing else in the sidecar writes, syncs, renames, links or removes a file of the spool.
 */
import fs from 'node:fs';
import { promises as fsp } from 'node:fs';

export type Callback = (error: NodeJS.ErrnoException | null) => void;

export interface SpoolFiles {
  /** Writes all of `bytes` at `position` (retries a short write); not durable before `syncData`. */
  write(fd: number, bytes: Uint8Array, position: number, done: Callback): void;
  /** fdatasync: what was written to `fd` before the call is on disk when `done(null)` is called. */
  syncData(fd: number, done: Callback): void;
  /** Creates a file (mode 0600) that must not exist and fills it with `size` zero bytes, on disk with its size. */
  createZeroed(path: string, size: number): Promise<void>;
  /** Writes a new file (mode 0600) whole and on disk: written beside its name, synced, renamed, directory synced. */
  writeWhole(path: string, bytes: Uint8Array): Promise<void>;
  openForWriting(path: string): Promise<number>;
  close(fd: number): Promise<void>;
  read(path: string): Promise<Buffer>;
  list(directory: string): Promise<string[]>;
  /** Renames within the spool and syncs both directories. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; absent is fine. Durable only after `syncDirectory`. */
  remove(path: string): Promise<void>;
  removeDirectory(path: string): Promise<void>;
  makeDirectory(path: string): Promise<void>;
  syncDirectory(path: string): Promise<void>;
}
void fs;
void fsp;
