/** Owns putting something between a command and the objects that it reads; all else of the store is as it was. */
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';

/** The store, with objects got in another way. */
export function storeWithGet(store: ObjectStore, get: ObjectStore['get']): ObjectStore {
  return {
    location: store.location,
    putIfAbsent: (...put) => store.putIfAbsent(...put),
    head: (...head) => store.head(...head),
    list: (...list) => store.list(...list),
    history: (...history) => store.history(...history),
    probe: (...probe) => store.probe(...probe),
    get,
  };
}
