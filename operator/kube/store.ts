/**
 * Owns our copy of the objects of one kind, and who is told of its changes.
 * Invariants: each change is told once, with what was there before; a listener that throws harms neither the copy nor other listeners;
 * an object that is given out is shared, and nobody changes it.
 */
import { type KubeObject, keyOf } from './resource.ts';

/** @param before undefined: it is new; @param now undefined: it is gone. With another uid it is another object of the same name. */
export type ChangeListener<T extends KubeObject> = (
  key: string,
  before: Readonly<T> | undefined,
  now: Readonly<T> | undefined,
) => void;

export interface Store<T extends KubeObject> {
  get(namespace: string | null, name: string): Readonly<T> | undefined;
  /** @param namespace left out or null: all */
  list(namespace?: string | null): Readonly<T>[];
  readonly size: number;
  put(object: T): void;
  remove(object: KubeObject): void;
  /** Takes a full list of a namespace (null: of all) for the truth. */
  replace(namespace: string | null, objects: readonly T[]): void;
  /** Tells all objects again, as if they had changed. */
  tellAgain(): void;
  /** The answer ends it. */
  onChange(listener: ChangeListener<T>): () => void;
}

/** @param listenerFailed told what a listener threw */
export function createStore<T extends KubeObject>(
  listenerFailed: (key: string, error: unknown) => void,
): Store<T> {
  const namespaces = new Map<string, Map<string, T>>();
  const listeners = new Set<ChangeListener<T>>();
  let size = 0;

  function tell(object: T, before: T | undefined, now: T | undefined): void {
    const key = keyOf(object);
    for (const listener of listeners) {
      try {
        listener(key, before, now);
      } catch (error) {
        listenerFailed(key, error);
      }
    }
  }

  function put(object: T): void {
    const place = object.metadata.namespace ?? '';
    let objects = namespaces.get(place);
    if (objects === undefined) namespaces.set(place, (objects = new Map()));
    const before = objects.get(object.metadata.name);
    if (before?.metadata.resourceVersion === object.metadata.resourceVersion && before !== undefined) return;
    objects.set(object.metadata.name, object);
    if (before === undefined) size += 1;
    tell(object, before, object);
  }

  function remove({ metadata: { namespace = '', name } }: KubeObject): void {
    const objects = namespaces.get(namespace);
    const before = objects?.get(name);
    if (objects === undefined || before === undefined) return;
    objects.delete(name);
    if (objects.size === 0) namespaces.delete(namespace);
    size -= 1;
    tell(before, before, undefined);
  }

  function list(namespace: string | null = null): T[] {
    if (namespace !== null) return [...(namespaces.get(namespace)?.values() ?? [])];
    return [...namespaces.values()].flatMap((objects) => [...objects.values()]);
  }

  return {
    get: (namespace, name) => namespaces.get(namespace ?? '')?.get(name),
    list,
    get size() {
      return size;
    },
    put,
    remove,
    replace(namespace, objects) {
      const keys = new Set(objects.map(keyOf));
      for (const object of list(namespace)) if (!keys.has(keyOf(object))) remove(object);
      for (const object of objects) put(object);
    },
    tellAgain() {
      for (const object of list()) tell(object, object, object);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
