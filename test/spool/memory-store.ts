/**
 * Owns an object store in memory for tests that need hundreds of them.
 */
import { hash } from 'node:crypto';
import { canaryKey } from '@mcp-recorder/recording/format/keys';
import { CANARY_BYTES, CANARY_SHA256 } from '@mcp-recorder/recording/store/canary';
import { compareKeys, requireKey } from '@mcp-recorder/recording/store/object-key';
import { type ObjectStore, StoreError } from '@mcp-recorder/recording/store/object-store';

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
    async putIfAbsent(key, bytes, sha256, signal) {
      requireKey('put', key);
      signal?.throwIfAborted();
      const found = objects.get(key);
      if (found !== undefined) return { outcome: 'exists', sha256: infoOf(key, found).sha256 };
      if (hash('sha256', bytes, 'hex') !== sha256) throw new StoreError('invalid', 'put', key, 'other bytes');
      objects.set(key, Buffer.from(bytes));
      return { outcome: 'created' };
    },
    async get(key, signal) {
      requireKey('get', key);
      signal?.throwIfAborted();
      const found = objects.get(key);
      if (found === undefined) throw new StoreError('not_found', 'get', key, 'no such object');
      return found;
    },
    async head(key, signal) {
      requireKey('head', key);
      signal?.throwIfAborted();
      const found = objects.get(key);
      return found === undefined ? null : infoOf(key, found);
    },
    async *list(prefix, options) {
      options?.signal?.throwIfAborted();
      for (const key of [...objects.keys()].sort(compareKeys)) {
        const isAfter = compareKeys(key, options?.startAfter ?? '') > 0;
        if (!key.startsWith(prefix) || !isAfter) continue;
        yield infoOf(key, objects.get(key) as Uint8Array);
      }
    },
    async *history(prefix, options) {
      for await (const { key, size } of this.list(prefix, options)) {
        yield { key, versions: [{ version: null, kind: 'object', size, time: null }] };
      }
    },
    async probe(signal) {
      await this.putIfAbsent(canaryKey(), CANARY_BYTES, CANARY_SHA256, signal);
      return { immutability: 'Conditional', versioned: false, notes: [] };
    },
  };
}
