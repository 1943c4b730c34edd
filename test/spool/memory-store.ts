/**
 * Owns an object store in memory for tests that need hundreds of them.
 */
import { type ObjectStore, StoreError } from '@mcp-recorder/recording/store/object-store';
import { hash } from 'node:crypto';

export function createMemoryStore(): ObjectStore & { objects: Map<string, Uint8Array> } {
  const objects = new Map<string, Uint8Array>();
  const infoOf = (key: string, bytes: Uint8Array) => ({
    key,
    size: bytes.length,
    sha256: hash('sha256', bytes, 'hex'),
  });
  return {
    objects,
    location: 'memory',
    async putIfAbsent(key, bytes, sha256) {
      const found = objects.get(key);
      if (found !== undefined) return { outcome: 'exists', sha256: infoOf(key, found).sha256 };
      if (hash('sha256', bytes, 'hex') !== sha256) throw new StoreError('invalid', 'put', key, 'other bytes');
      objects.set(key, Buffer.from(bytes));
      return { outcome: 'created' };
    },
    async get(key) {
      const found = objects.get(key);
      if (found === undefined) throw new StoreError('not_found', 'get', key, 'no such object');
      return found;
    },
    async head(key) {
      const found = objects.get(key);
      return found === undefined ? null : infoOf(key, found);
    },
    async *list(prefix, options) {
      for (const key of [...objects.keys()].sort()) {
        if (!key.startsWith(prefix) || key <= (options?.startAfter ?? '')) continue;
        yield infoOf(key, objects.get(key) as Uint8Array);
      }
    },
  };
}
