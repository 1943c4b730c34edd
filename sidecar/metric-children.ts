/**
 * Owns the children of metrics with labels.
 * Invariant: counting makes no label object.
 */

/** Keeps the child of each label value, so that counting makes no label object. */
export function createChildren<Key, Child>(make: (key: Key) => Child): (key: Key) => Child {
  const children = new Map<Key, Child>();
  return (key) => {
    let child = children.get(key);
    if (child === undefined) {
      child = make(key);
      children.set(key, child);
    }
    return child;
  };
}
