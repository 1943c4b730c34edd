/**
 * Owns objects kept as files under one directory, for a laptop, a volume, or a copy of a bucket.
 * Invariant: a file under an object's name is whole and durable before anyone is told so: it is written and synced under a temporary
 * name in the same directory, then linked to its own (never over another), then the directory is synced.
 */
import { randomUUID, subtle } from 'node:crypto';
import path from 'node:path';
import { nodeDirectoryFiles, type DirectoryFiles, type OpenFile } from './directory-files.ts';
import { directoryFailure, systemCode } from './directory-failure.ts';
import { walkObjects } from './directory-walk.ts';
import { createDurableDirectories } from './durable-directories.ts';
import { canaryKey } from '../format/keys.ts';
import { CANARY_BYTES, CANARY_SHA256 } from './canary.ts';
import { requireKey } from './object-key.ts';
import {
  StoreError,
  type ListOptions,
  type ObjectStore,
  type PutOutcome,
  type StoreFacts,
} from './object-store.ts';

const TEMPORARY_PREFIX = '.put-';
/** A temporary file this old belongs to a process that died: no put takes an hour. */
const STALE_AFTER_MS = 3_600_000;

/** Hex SHA-256, computed on the thread pool: a whole segment at once would hold up every exchange of the recorder. */
async function sha256Of(bytes: Uint8Array): Promise<string> {
  return Buffer.from(await subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)).toString('hex');
}

/**
 * A store in `root`, which is made by the first put. Several processes may use one root.
 * `head` and `list` answer no `sha256`: a file system keeps none.
 */
export function createDirectoryStore(root: string, files: DirectoryFiles = nodeDirectoryFiles): ObjectStore {
  const location = path.resolve(root);
  const directories = createDurableDirectories(location, files);
  let sweptDirectory = '';
  let sweptMs = 0;

  async function putIfAbsent(
    key: string,
    bytes: Uint8Array,
    sha256: string,
    signal?: AbortSignal,
  ): Promise<PutOutcome> {
    requireKey('put', key);
    if ((await sha256Of(bytes)) !== sha256.toLowerCase()) {
      const hint = 'The bytes do not have the SHA-256 that was announced: they were changed in memory.';
      throw new StoreError('invalid', 'put', key, hint);
    }
    signal?.throwIfAborted();
    const target = `${location}/${key}`;
    try {
      return await putDurably(target, bytes, signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (systemCode(error) !== 'ENOENT') throw directoryFailure('put', key, error);
    }
    // The directory was removed behind our back (retention, a cleaned volume): make it again, once.
    directories.forget();
    try {
      return await putDurably(target, bytes, signal);
    } catch (error) {
      signal?.throwIfAborted();
      throw directoryFailure('put', key, error);
    }
  }

  async function putDurably(target: string, bytes: Uint8Array, signal?: AbortSignal): Promise<PutOutcome> {
    const directory = path.dirname(target);
    await directories.require(directory);
    await sweep(directory);
    const temporary = `${directory}/${TEMPORARY_PREFIX}${randomUUID()}`;
    const file = await files.createExclusive(temporary);
    let linked: boolean;
    try {
      await writeAndSync(file, bytes, signal);
      signal?.throwIfAborted();
      linked = await linkIfAbsent(temporary, target);
    } finally {
      await discard(temporary);
    }
    if (linked) {
      await files.syncDirectory(directory);
      return { outcome: 'created' };
    }
    // Whoever put it may have died before it was durable, and our caller may delete its own copy on this answer.
    await files.syncFile(target);
    await files.syncDirectory(directory);
    return { outcome: 'exists', sha256: await sha256Of(await files.read(target)) };
  }

  async function writeAndSync(file: OpenFile, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    try {
      for (let written = 0; written < bytes.length; ) {
        signal?.throwIfAborted();
        written += await file.append(bytes.subarray(written));
      }
      await file.sync();
    } finally {
      await file.close();
    }
  }

  async function linkIfAbsent(temporary: string, target: string): Promise<boolean> {
    try {
      await files.link(temporary, target);
      return true;
    } catch (error) {
      if (systemCode(error) === 'EEXIST') return false;
      throw error;
    }
  }

  /** Best effort: a temporary file that stays is no object, no reader sees it, and a later put sweeps it. */
  async function discard(temporary: string): Promise<void> {
    await files.unlink(temporary).catch(() => {});
  }

  async function sweep(directory: string): Promise<void> {
    const nowMs = Date.now();
    if (directory === sweptDirectory && nowMs - sweptMs < STALE_AFTER_MS) return;
    for (const entry of await files.list(directory)) {
      if (!entry.name.startsWith(TEMPORARY_PREFIX)) continue;
      const temporary = `${directory}/${entry.name}`;
      const facts = await files.facts(temporary);
      if (facts !== null && nowMs - facts.modifiedMs > STALE_AFTER_MS) await discard(temporary);
    }
    sweptDirectory = directory;
    sweptMs = nowMs;
  }

  async function get(key: string, signal?: AbortSignal): Promise<Uint8Array> {
    requireKey('get', key);
    signal?.throwIfAborted();
    try {
      return await files.read(`${location}/${key}`);
    } catch (error) {
      throw directoryFailure('get', key, error);
    }
  }

  async function head(key: string, signal?: AbortSignal) {
    requireKey('head', key);
    signal?.throwIfAborted();
    try {
      const facts = await files.facts(`${location}/${key}`);
      return facts?.isFile ? { key, size: facts.size, sha256: null } : null;
    } catch (error) {
      throw directoryFailure('head', key, error);
    }
  }

  async function* list(prefix: string, options: ListOptions = {}) {
    try {
      yield* walkObjects(location, files, prefix, options);
    } catch (error) {
      options.signal?.throwIfAborted();
      throw directoryFailure('list', prefix, error);
    }
  }

  async function* history(prefix: string, options: ListOptions = {}) {
    for await (const { key, size } of list(prefix, options)) {
      yield { key, versions: [{ version: null, kind: 'object' as const, size, time: null }] };
    }
  }

  /** A link is never made over another name: what is here stays, as far as this writer goes. */
  async function probe(signal?: AbortSignal): Promise<StoreFacts> {
    await putIfAbsent(canaryKey(), CANARY_BYTES, CANARY_SHA256, signal);
    return { immutability: 'Conditional', versioned: false, notes: [] };
  }

  return { location, putIfAbsent, get, head, list, history, probe };
}
