/**
 * Owns the order in which a directory store lists its objects.
 * Invariant: keys come in byte order, as from S3, holding the names of one directory a level and no more.
 */
import type { DirectoryFiles } from './directory-files.ts';
import { systemCode } from './directory-failure.ts';
import { compareKeys } from './object-key.ts';
import type { ListOptions, ObjectInfo } from './object-store.ts';

/** lstat calls in flight: they wait for the disk, not for the processor. */
const FACTS_AT_ONCE = 32;

/**
 * Objects under `root` whose key starts with `prefix`. Names that begin with a dot are the store's own temporary files; symbolic
 * links, sockets and the like are no objects. What disappears during the walk is left out.
 * @throws the primitive's error
 */
export async function* walkObjects(
  root: string,
  files: DirectoryFiles,
  prefix: string,
  options: ListOptions = {},
): AsyncIterable<ObjectInfo> {
  const { startAfter = '', signal } = options;

  /** Whether keys that begin with `directory` (which ends with a slash) can be among those asked for. */
  function mayHold(directory: string): boolean {
    if (!directory.startsWith(prefix) && !prefix.startsWith(directory)) return false;
    return compareKeys(directory, startAfter) > 0 || startAfter.startsWith(directory);
  }

  async function* walk(directory: string): AsyncIterable<ObjectInfo> {
    signal?.throwIfAborted();
    const keys: string[] = [];
    for (const entry of await listIfThere(directory)) {
      if (entry.name.startsWith('.')) continue;
      // A directory sorts as its keys do: `a/b` after `a-b`, because a slash is more than a hyphen.
      if (entry.isDirectory()) keys.push(`${directory}${entry.name}/`);
      else if (entry.isFile()) keys.push(directory + entry.name);
    }
    keys.sort(compareKeys);
    let objects: string[] = [];
    for (const key of keys) {
      if (!key.endsWith('/')) {
        if (!key.startsWith(prefix) || compareKeys(key, startAfter) <= 0) continue;
        objects.push(key);
        if (objects.length < FACTS_AT_ONCE) continue;
      }
      yield* describe(objects);
      objects = [];
      if (key.endsWith('/') && mayHold(key)) yield* walk(key);
    }
    yield* describe(objects);
  }

  async function listIfThere(directory: string) {
    try {
      return await files.list(`${root}/${directory}`);
    } catch (error) {
      // Retention may remove a date while we walk; the root itself must be there.
      if (directory !== '' && systemCode(error) === 'ENOENT') return [];
      throw error;
    }
  }

  async function* describe(keys: string[]): AsyncIterable<ObjectInfo> {
    signal?.throwIfAborted();
    const all = await Promise.all(keys.map((key) => files.facts(`${root}/${key}`)));
    for (const [index, key] of keys.entries()) {
      const facts = all[index];
      if (facts?.isFile) yield { key, size: facts.size, sha256: null };
    }
  }

  yield* walk('');
}
