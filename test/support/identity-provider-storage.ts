/**
 * Owns what the identity provider of tests remembers: sessions, grants, codes, registered clients. It outlives a rotation of keys.
 */
import type { Adapter, AdapterPayload } from 'oidc-provider';

/** The storage of one provider; the answer is what the library asks for, an adapter for each kind of thing. */
export function createStorage(): (kind: string) => Adapter {
  const things = new Map<string, AdapterPayload>();
  const find = (test: (thing: AdapterPayload) => boolean) => [...things.values()].find(test);
  return (kind) => ({
    async upsert(id, payload) {
      things.set(`${kind} ${id}`, payload);
    },
    find: async (id) => things.get(`${kind} ${id}`),
    findByUid: async (uid) => find((thing) => thing.kind === kind && thing.uid === uid),
    findByUserCode: async (userCode) => find((thing) => thing.kind === kind && thing.userCode === userCode),
    async consume(id) {
      const thing = things.get(`${kind} ${id}`);
      if (thing !== undefined) thing.consumed = Math.floor(Date.now() / 1000);
    },
    async destroy(id) {
      things.delete(`${kind} ${id}`);
    },
    async revokeByGrantId(grantId) {
      for (const [key, thing] of things) if (thing.grantId === grantId) things.delete(key);
    },
  });
}
