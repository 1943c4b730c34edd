/**
 * Owns the file of the index: that it is the reader's alone, that it is of this version and store, and that one which can't be used is made
 * anew.
 * Invariant: nothing is in it that can't be read from the store again. Only a file that is no database is deleted: others may be at work on
 * one that is, and two files of one name would share a log.
 */
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { INDEX_VERSION, TABLES } from './schema.ts';

/** A larger index is made anew when it is opened (bytes): nobody cleans caches. */
export const MAX_INDEX_BYTES = 8 * 2 ** 30;
/** How long another process may hold the file (ms). */
const BUSY_MS = 30_000;

export interface IndexFile {
  database: DatabaseSync;
  /** Ends the work on an index that another process made anew meanwhile: names in it mean something else now. @throws IndexReplaced */
  check(): void;
  close(): void;
}

/** Another process made the index anew. */
export class IndexReplaced extends Error {
  constructor() {
    super('Another process made the index anew.');
    this.name = 'IndexReplaced';
  }
}

/**
 * @param file null: nothing is kept, and what does not fit into some memory lies in a temporary file that nobody else can open
 * @param store the location of the store that it is about
 */
export function openIndexFile(file: string | null, store: string, maxBytes = MAX_INDEX_BYTES): IndexFile {
  if (file === null) return opened(prepared(openTemporary(), store, maxBytes));
  fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  try {
    return opened(prepared(openFile(file), store, maxBytes));
  } catch (error) {
    if (!isDamaged(error)) throw error;
    removeIndex(file);
    return opened(prepared(openFile(file), store, maxBytes));
  }
}

/** Whether SQLite says that a file is none of its own, or that it does not hang together. */
export function isDamaged(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === SQLITE_CORRUPT || code === SQLITE_NOTADB;
}

/** Whether the index failed, and not the store that it is about. */
export function isIndexFailure(error: unknown): boolean {
  return error instanceof IndexReplaced || sqliteCode(error) !== null;
}

/** Deletes an index with what belongs to it. */
export function removeIndex(file: string): void {
  for (const suffix of ['', '-wal', '-shm']) fs.rmSync(`${file}${suffix}`, { force: true });
}

const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

function sqliteCode(error: unknown): number | null {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return null;
  // The rest of it is which kind of the fault.
  return error.errcode & 0xff;
}

function opened(database: DatabaseSync): IndexFile {
  const about = database.prepare('SELECT made FROM about');
  const made = about.get()?.['made'];
  return {
    database,
    check() {
      if (about.get()?.['made'] !== made) throw new IndexReplaced();
    },
    close() {
      if (database.isOpen) database.close();
    },
  };
}

function openTemporary(): DatabaseSync {
  const database = new DatabaseSync('');
  database.exec('PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA cache_size = -32768');
  return database;
}

function openFile(file: string): DatabaseSync {
  // Words of bodies are in it: nobody else may read it. SQLite gives its own files the same mode.
  fs.closeSync(fs.openSync(file, 'a', 0o600));
  fs.chmodSync(file, 0o600);
  const database = new DatabaseSync(file, { timeout: BUSY_MS });
  try {
    // What is in the log is not lost with this process, and what a machine loses is found out before it is used.
    database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = NORMAL;
      PRAGMA wal_autocheckpoint = 8192;
      PRAGMA journal_size_limit = 67108864;
      PRAGMA cache_size = -32768;
    `);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** The index with its tables, emptied when it is of another version or store, or too large. */
function prepared(database: DatabaseSync, store: string, maxBytes: number): DatabaseSync {
  try {
    if (isUsable(database, store, maxBytes)) return database;
    database.exec('BEGIN IMMEDIATE');
    let emptied = false;
    // Another process may have been faster.
    if (!isUsable(database, store, maxBytes)) {
      emptied = dropAll(database);
      database.exec(TABLES);
      database.exec('CREATE TABLE about (version INTEGER, store TEXT, made TEXT)');
      database.prepare('INSERT INTO about VALUES (?, ?, ?)').run(INDEX_VERSION, store, randomUUID());
    }
    database.exec('COMMIT');
    if (emptied) shrink(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function shrink(database: DatabaseSync): void {
  try {
    database.exec('VACUUM');
  } catch {
    // Another process reads in it, or there is no room for a copy: the free pages are used again.
  }
}

function isUsable(database: DatabaseSync, store: string, maxBytes: number): boolean {
  const table = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'about' AND type = 'table'").get();
  if (table === undefined || sizeOf(database) > maxBytes) return false;
  // An index of another version may say other things of itself.
  const { version, store: of } = { ...database.prepare('SELECT * FROM about').get() };
  return version === INDEX_VERSION && of === store;
}

function sizeOf(database: DatabaseSync): number {
  const pragma = (name: string) => Number(database.prepare(`PRAGMA ${name}`).get()?.[name] ?? 0);
  return pragma('page_size') * (pragma('page_count') - pragma('freelist_count'));
}

/** Drops what there is; false: there was nothing. */
function dropAll(database: DatabaseSync): boolean {
  const names = database
    .prepare(
      // Virtual tables first: they take their own tables with them.
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY sql LIKE 'CREATE VIRTUAL%' DESC",
    )
    .all();
  for (const { name } of names) database.exec(`DROP TABLE IF EXISTS "${String(name).replaceAll('"', '""')}"`);
  return names.length > 0;
}
