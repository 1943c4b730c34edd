/**
 * Owns which caller a session belongs to, and the records in which that is kept over a restart.
 * Invariant: bounded in number; sessions that servers opened make room only for others that servers opened, whatever ids clients make up;
 * a record holds keyed hashes, neither ids nor names.
 */
import { Buffer } from 'node:buffer';
import { createRecentCache } from './recent-cache.ts';

/** How the caller of a session became known: the server gave it the id, or it was the first that came with it. */
export type BindingHow = 'opened' | 'seen';

export interface Binding {
  /** Hash of the session id, and of who it belongs to: 32 hex digits each. */
  session: string;
  caller: string;
  how: BindingHow;
}

export interface BindingTable {
  callerOf(session: string): string | null;
  /** Takes the place of what was known of the session. */
  bind(binding: Binding): void;
  forget(session: string): void;
  /** All of them, those used longest ago first. */
  bindings(): Binding[];
}

/** @param atLeast sessions of each kind that are remembered in any case */
export function createBindingTable(atLeast: number): BindingTable {
  const opened = createRecentCache<string>(atLeast);
  const seen = createRecentCache<string>(atLeast);
  const all = (how: BindingHow): Binding[] =>
    (how === 'opened' ? opened : seen).entries().map(([session, caller]) => ({ session, caller, how }));

  return {
    callerOf: (session) => opened.get(session) ?? seen.get(session) ?? null,
    bind({ session, caller, how }) {
      if (how === 'opened') seen.delete(session);
      (how === 'opened' ? opened : seen).set(session, caller);
    },
    forget(session) {
      opened.delete(session);
      seen.delete(session);
    },
    bindings: () => [...all('seen'), ...all('opened')],
  };
}

/** Bytes of a record: a letter, session, caller, with a space between and a line feed. */
export const RECORD_BYTES = 68;
/** Stands for the caller of a session that was ended. */
const NOBODY = '-'.repeat(32);
const LETTERS = { opened: 'o', seen: 's' } as const;

export function encodeBinding({ session, caller, how }: Binding): Buffer {
  return Buffer.from(`${LETTERS[how]} ${session} ${caller}\n`, 'latin1');
}

/** The record of a session that was ended. */
export function encodeForgotten(session: string): Buffer {
  return Buffer.from(`f ${session} ${NOBODY}\n`, 'latin1');
}

/**
 * Takes the records of a file into a table. What is no whole record (a write that a crash cut) and all behind it is left out.
 * @returns how many records there were
 */
export function readRecords(bytes: Buffer, table: BindingTable): number {
  let count = 0;
  for (; (count + 1) * RECORD_BYTES <= bytes.length; count++) {
    const record = bytes.toString('latin1', count * RECORD_BYTES, (count + 1) * RECORD_BYTES);
    const found = /^(?<letter>[osf]) (?<session>[0-9a-f]{32}) (?<caller>[0-9a-f]{32}|-{32})\n$/.exec(
      record,
    )?.groups;
    if (found === undefined) break;
    const { letter, session, caller } = found as { letter: string; session: string; caller: string };
    if (letter === 'f') table.forget(session);
    else table.bind({ session, caller, how: letter === 'o' ? 'opened' : 'seen' });
  }
  return count;
}
