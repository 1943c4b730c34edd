/**
 * Owns the directories down to a store's objects: makes them, and makes sure that their names are on disk.
 * Invariant: when `require` resolves, the directory is found again after a power loss. That one was there before counts for nothing:
 * who made it may have died, or failed, before its parent was synced; so each one is synced once a process, from `/` down.
 */
import path from 'node:path';
import type { DirectoryFiles } from './directory-files.ts';
import { systemCode } from './directory-failure.ts';

export interface DurableDirectories {
  /** Makes `directory` (absolute) and what is missing above it. @throws the primitive's error */
  require(directory: string): Promise<void>;
  /** Forgets what is known: a directory was found missing that had been there. */
  forget(): void;
}

/** More directories than a process uses in a month; past it the set starts anew, at the price of a few syncs. */
const MAX_REMEMBERED = 1_000;

/** Answers to opening or syncing a directory above the root that is not ours to sync: a mount point, an administrator's. */
const UNSYNCABLE: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'EINVAL', 'EROFS']);

/** @param root the store's directory, absolute */
export function createDurableDirectories(root: string, files: DirectoryFiles): DurableDirectories {
  const durable = new Set<string>();

  async function require(directory: string): Promise<void> {
    const parent = path.dirname(directory);
    if (durable.has(directory) || parent === directory) return;
    await require(parent);
    const existed = await makeIfAbsent(directory);
    const ours = directory.startsWith(`${root}/`);
    try {
      await files.syncDirectory(parent);
    } catch (error) {
      if (ours || !existed || !UNSYNCABLE.has(systemCode(error) ?? '')) throw error;
    }
    if (durable.size >= MAX_REMEMBERED) durable.clear();
    durable.add(directory);
  }

  async function makeIfAbsent(directory: string): Promise<boolean> {
    try {
      await files.makeDirectory(directory);
      return false;
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
      return true;
    }
  }

  return { require, forget: () => durable.clear() };
}
