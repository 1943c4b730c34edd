/**
 * Owns who may use a session of the older protocol revisions: only the caller that it was opened for.
 * Invariant: a session belongs to one caller at a time, over restarts too; memory and file are bounded. The file is written behind: the
 * last moments before a power loss may be missing, and these sessions then belong to who comes with them first.
 */
import path from 'node:path';
import type { Caller } from './exchange/caller.ts';
import {
  type Binding,
  createBindingTable,
  encodeBinding,
  encodeForgotten,
  readRecords,
  RECORD_BYTES,
} from './exchange/binding-table.ts';
import type { HashSession } from './exchange/headers.ts';
import type { SpoolFiles } from './spool/files.ts';
import { sessionBindingsPath } from './spool/paths.ts';

export interface SessionBindings {
  /**
   * Whether this caller may use the session, which belongs to it from now on if it belonged to nobody.
   * Callers without a verified identity are told apart from nobody, and may.
   * @param session its keyed hash (`h:...`)
   */
  admits(session: string, caller: Caller): boolean;
  /** The server opened the session for this caller: whoever had one of that id before has it no more. */
  opened(session: string, caller: Caller): void;
  /** The server ended the session. */
  ended(session: string): void;
  /** What was noted is in the file, as far as the disk takes it. */
  close(): Promise<void>;
}

export interface SessionBindingsOptions {
  /** Spool directory; null: nothing is kept over a restart. */
  directory: string | null;
  files: SpoolFiles;
  hash: HashSession;
  /** Told when the file can't be written; bindings are then lost with the process. */
  onProblem: (message: string) => void;
  /** Sessions of each kind that are remembered in any case. */
  atLeast?: number;
}

/** Records that the file has room for, as a multiple of the sessions that are remembered at most. */
const ROOM = 2;

/** Reads what an earlier process noted; a file that can't be read is begun anew. */
export async function openSessionBindings(options: SessionBindingsOptions): Promise<SessionBindings> {
  const { directory, files, hash, onProblem, atLeast = 2_000 } = options;
  const table = createBindingTable(atLeast);
  const file = directory === null ? null : sessionBindingsPath(directory);
  const capacity = ROOM * 4 * atLeast;
  if (file !== null) {
    try {
      const names = await files.list(path.dirname(file));
      if (names.includes(path.basename(file))) readRecords(await files.read(file), table);
    } catch (error) {
      onProblem(`the session bindings in ${file} can't be read: ${String(error)}`);
    }
  }
  /** The open file, and how many records are in it; null until there is something to note. */
  let open: { fd: number; records: number } | null = null;
  let waiting: Buffer[] = [];
  let work: Promise<void> | null = null;

  function note(record: Buffer): void {
    if (file === null) return;
    waiting.push(record);
    work ??= writeBehind(file);
  }

  async function writeBehind(target: string): Promise<void> {
    try {
      while (waiting.length > 0) {
        const records = waiting;
        waiting = [];
        if (open === null || open.records + records.length > capacity) await rewrite(target);
        else await append(open, records);
      }
    } catch (error) {
      // The next record begins a new file, with all that is known by then.
      waiting = [];
      await closeFile();
      onProblem(`the session bindings can't be written to ${target}: ${String(error)}`);
    }
    // In the same turn in which nothing waited: what is noted from here on begins anew.
    work = null;
  }

  /** Begins the file anew with what is known now, which is all that was noted so far. */
  async function rewrite(target: string): Promise<void> {
    await closeFile();
    const records = table.bindings().map(encodeBinding);
    const bytes = Buffer.alloc(capacity * RECORD_BYTES);
    Buffer.concat(records).copy(bytes);
    await files.writeWhole(target, bytes);
    open = { fd: await files.openForWriting(target), records: records.length };
  }

  async function append(to: { fd: number; records: number }, records: Buffer[]): Promise<void> {
    const at = to.records * RECORD_BYTES;
    await new Promise<void>((resolve, reject) => {
      files.write(to.fd, Buffer.concat(records), at, (error) => (error === null ? resolve() : reject(error)));
    });
    to.records += records.length;
    await new Promise<void>((resolve, reject) => {
      files.syncData(to.fd, (error) => (error === null ? resolve() : reject(error)));
    });
  }

  async function closeFile(): Promise<void> {
    const closing = open;
    open = null;
    if (closing !== null) await files.close(closing.fd).catch(() => {});
  }

  /** Without the `h:` that names a keyed hash in the record. */
  const plain = (hashed: string): string => hashed.slice(2);

  function bind(session: string, caller: Caller, how: Binding['how']): void {
    const binding = { session: plain(session), caller: plain(hash(`caller ${caller.key}`)), how };
    table.bind(binding);
    note(encodeBinding(binding));
  }

  return {
    admits(session, caller) {
      if (!caller.verified) return true;
      const known = table.callerOf(plain(session));
      if (known === null) {
        bind(session, caller, 'seen');
        return true;
      }
      return known === plain(hash(`caller ${caller.key}`));
    },
    opened(session, caller) {
      if (!caller.verified) return;
      if (table.callerOf(plain(session)) === plain(hash(`caller ${caller.key}`))) return;
      bind(session, caller, 'opened');
    },
    ended(session) {
      const known = table.callerOf(plain(session));
      if (known === null) return;
      table.forget(plain(session));
      note(encodeForgotten(plain(session)));
    },
    async close() {
      await work;
      await closeFile();
    },
  };
}
