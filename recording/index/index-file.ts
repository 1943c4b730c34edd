/**
 * Owns the file of the index: that it is the reader's alone, that it is of this version, and that one which can't be used is made anew.
 * Invariant: whatever is wrong with the file, a reader gets a usable index; nothing is in it that can't be read from the store again.
 */
import fs from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { INDEX_VERSION, TABLES } from './schema.ts';

/** A larger file is made anew (bytes): it holds what was read of all stores and times, and nobody cleans caches. */
const MAX_FILE_BYTES = 8 * 2 ** 30;
/** How long another process may hold the file (ms). */
const BUSY_MS = 30_000;

/** Says which store the file belongs to, so that two stores never share one. */
export interface IndexFile {
  database: DatabaseSync;
  close(): void;
}

/** @param file null: in memory @param store the location of the store that it is about */
export function openIndexFile(file: string | null, store: string): IndexFile {
  if (file === null) return opened(create(':memory:', store));
  fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  if (sizeOf(file) > MAX_FILE_BYTES) removeIndex(file);
  try {
    return opened(openExisting(file, store) ?? create(remade(file), store));
  } catch {
    // It is no database, or a damaged one, or another version is at work on it.
    return opened(create(remade(file), store));
  }
}

/** Deletes an index with what belongs to it. */
export function removeIndex(file: string): void {
  for (const suffix of ['', '-wal', '-shm']) fs.rmSync(`${file}${suffix}`, { force: true });
}

function opened(database: DatabaseSync): IndexFile {
  return { database, close: () => database.close() };
}

function remade(file: string): string {
  removeIndex(file);
  // Words of bodies are in it: nobody else may read it. SQLite gives its own files the same mode.
  fs.closeSync(fs.openSync(file, 'wx', 0o600));
  return file;
}

function sizeOf(file: string): number {
  return fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

function create(file: string, store: string): DatabaseSync {
  const database = open(file);
  database.exec('BEGIN');
  database.exec(TABLES);
  database.exec('CREATE TABLE about (version INTEGER, store TEXT)');
  database.prepare('INSERT INTO about VALUES (?, ?)').run(INDEX_VERSION, store);
  database.exec('COMMIT');
  return database;
}

/** The index in the file; null when there is none that can be used. */
function openExisting(file: string, store: string): DatabaseSync | null {
  if (sizeOf(file) === 0) return null;
  const database = open(file);
  try {
    const about = database.prepare('SELECT version, store FROM about').get();
    if (about?.['version'] === INDEX_VERSION && about['store'] === store) return database;
  } catch {
    // Something else than an index.
  }
  database.close();
  return null;
}

function open(file: string): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: BUSY_MS });
  database.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = OFF;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -65536;
  `);
  return database;
}
