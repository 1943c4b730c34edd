/**
 * Owns how many bytes the spool's files take, against the limit.
 * Invariant: a file counts until it is known to be gone, with whole blocks.
 */
const BLOCK_BYTES = 4096;

export interface Space {
  readonly limit: number;
  readonly used: number;
  /** Counts the file with this size, or with its new one. */
  set(path: string, size: number): void;
  delete(path: string): void;
}

export function createSpace(limit: number): Space {
  const sizes = new Map<string, number>();
  let used = 0;
  const remove = (path: string): void => {
    used -= sizes.get(path) ?? 0;
    sizes.delete(path);
  };
  return {
    limit,
    get used() {
      return used;
    },
    set(path, size) {
      remove(path);
      const counted = Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
      sizes.set(path, counted);
      used += counted;
    },
    delete: remove,
  };
}
