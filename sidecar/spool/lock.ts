/**
 * Owns the claim of one process on a spool directory.
 * Invariant: two processes never hold it at once, and it is never left behind: it is a kernel lock (fcntl, through SQLite), which ends
 * with its process however that dies, and which holds across containers that share the directory, where process ids mean nothing.
 *
 * Nothing else in the process may open the lock's file: closing any descriptor of it would release the lock (fcntl(2)).
 */
import { readFileSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { lockPath } from './paths.ts';

/** The directory is somebody else's, or may not be used. */
export class SpoolDirectoryError extends Error {
  readonly code: 'in_use' | 'tmpfs' | 'too_small' | 'unusable';
  readonly hint: string;

  constructor(code: SpoolDirectoryError['code'], message: string, hint: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'SpoolDirectoryError';
    this.code = code;
    this.hint = hint;
  }
}

const SQLITE_BUSY = 5;

/** The process id of who holds a lock on the file, where the kernel tells (Linux, same pid namespace). */
function holderOf(file: string): number | null {
  try {
    const { ino } = statSync(file);
    for (const line of readFileSync('/proc/locks', 'utf8').split('\n')) {
      const [, , , , pid, node] = line.split(/\s+/);
      if (node?.endsWith(`:${ino}`) === true && Number(pid) > 0) return Number(pid);
    }
  } catch {
    // Only for the message: without it the message says less.
  }
  return null;
}

/**
 * Claims an existing directory for this process.
 * @returns how to give it back; keep it, or the claim ends with the next garbage collection
 * @throws SpoolDirectoryError `in_use` when another process (or another recorder in this one) has it
 */
export function lockDirectory(directory: string): () => void {
  const file = lockPath(directory);
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(file, { timeout: 0 });
    // Nothing is ever stored: no journal, so that no second file appears.
    database.exec('PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE');
  } catch (error) {
    database?.close();
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY) {
      const pid = holderOf(file);
      throw new SpoolDirectoryError(
        'in_use',
        `spool directory ${directory} is in use by another recorder${pid === null ? '' : ` (process ${pid})`}`,
        'Give each recorder a spool directory of its own, or stop the other one first.',
        error,
      );
    }
    throw new SpoolDirectoryError(
      'unusable',
      `spool directory ${directory} can't be locked: ${error instanceof Error ? error.message : String(error)}`,
      'The directory must be writable and on a file system with fcntl locks.',
      error,
    );
  }
  const held = database;
  return () => held.close();
}
