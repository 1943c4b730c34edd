/**
 * Owns the hash tree of a segment (RFC 6962 2.1, also RFC 9162 2.1) over its lines, and inclusion proofs.
 * Invariant: a leaf is SHA-256(0x00 || line), a node SHA-256(0x01 || left || right): no line can pass for a node.
 *
 * Hashes within a tree are latin1 strings of 32 characters: `crypto.hash` gives them without allocating a buffer,
 * which halves the cost of a leaf, and a recorder hashes every line that it writes.
 */
import { hash } from 'node:crypto';

/** A SHA-256 value as a string of 32 characters U+0000 to U+00FF. */
export type Latin1Hash = string;

const node = Buffer.alloc(65);
node[0] = 1;

function nodeHash(left: Latin1Hash, right: Latin1Hash): Latin1Hash {
  node.write(left, 1, 32, 'latin1');
  node.write(right, 33, 32, 'latin1');
  return hash('sha256', node, 'binary');
}

/** The leaf of a line (without its line feed). */
export function leafHash(line: Uint8Array): Latin1Hash {
  const prefixed = Buffer.allocUnsafe(line.length + 1);
  prefixed[0] = 0;
  prefixed.set(line, 1);
  return hash('sha256', prefixed, 'binary');
}

/**
 * The leaf of the line at `start` (at least 1) up to `end` in a buffer, without copying it: the byte before the line
 * is 0 for the length of the call.
 */
export function leafHashInPlace(buffer: Buffer, start: number, end: number): Latin1Hash {
  const before = buffer[start - 1];
  if (before === undefined) throw new RangeError('a line that is hashed in place needs a byte before it');
  buffer[start - 1] = 0;
  const leaf = hash('sha256', buffer.subarray(start - 1, end), 'binary');
  buffer[start - 1] = before;
  return leaf;
}

export interface Tree {
  append(leaf: Latin1Hash): void;
  readonly size: number;
  /** Root over the leaves so far, 32 bytes; more may be appended after. */
  root(): Buffer;
}

/** A tree that grows; keeps one hash for each bit of its size. */
export function createTree(): Tree {
  const subtrees: Latin1Hash[] = [];
  let size = 0;
  return {
    append(leaf) {
      let right = leaf;
      // Each trailing one bit of the size is a complete subtree that the new leaf completes a larger one with.
      for (let bits = size; bits % 2 === 1; bits = (bits - 1) / 2)
        right = nodeHash(subtrees.pop() as Latin1Hash, right);
      subtrees.push(right);
      size += 1;
    },
    get size() {
      return size;
    },
    root() {
      let right = subtrees.at(-1);
      if (right === undefined) return Buffer.from(hash('sha256', '', 'hex'), 'hex');
      for (let i = subtrees.length - 2; i >= 0; i -= 1) right = nodeHash(subtrees[i] as Latin1Hash, right);
      return Buffer.from(right, 'latin1');
    },
  };
}

/** The root over all leaves, 32 bytes. */
export function rootOf(leaves: readonly Latin1Hash[]): Buffer {
  const tree = createTree();
  for (const leaf of leaves) tree.append(leaf);
  return tree.root();
}

/**
 * Audit paths (RFC 6962 2.1.1) in one tree: hashes every node once, then `(index)` to the path of that leaf,
 * from its sibling up, 32 bytes each.
 */
export function createProver(leaves: readonly Latin1Hash[]): (index: number) => Buffer[] {
  const levels: Latin1Hash[][] = [[...leaves]];
  for (let level = levels[0] as Latin1Hash[]; level.length > 1; ) {
    const above: Latin1Hash[] = [];
    for (let i = 0; i < level.length; i += 2) {
      const left = level[i] as Latin1Hash;
      const right = level[i + 1];
      // A node without a sibling goes up as it is: that is the split at the largest power of two.
      above.push(right === undefined ? left : nodeHash(left, right));
    }
    levels.push(above);
    level = above;
  }
  return (index) => {
    if (!Number.isInteger(index) || index < 0 || index >= leaves.length) {
      throw new RangeError(`no leaf ${index} in a tree of ${leaves.length}`);
    }
    const path: Buffer[] = [];
    let at = index;
    for (const level of levels) {
      const sibling = level[at % 2 === 0 ? at + 1 : at - 1];
      if (sibling !== undefined) path.push(Buffer.from(sibling, 'latin1'));
      at = Math.floor(at / 2);
    }
    return path;
  };
}

/** The audit path of one leaf. @throws RangeError when there is no such leaf */
export function inclusionProof(leaves: readonly Latin1Hash[], index: number): Buffer[] {
  return createProver(leaves)(index);
}

/** Whether the path proves that `leaf` is number `index` of a tree of `size` leaves with this root (RFC 9162 2.1.3.2). */
export function verifyInclusion(
  leaf: Latin1Hash,
  index: number,
  size: number,
  path: readonly Buffer[],
  root: Buffer,
): boolean {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return false;
  let at = index;
  let last = size - 1;
  let computed = leaf;
  for (const sibling of path) {
    if (last === 0 || sibling.length !== 32) return false;
    if (at % 2 === 1 || at === last) {
      computed = nodeHash(sibling.toString('latin1'), computed);
      while (at % 2 === 0 && at !== 0) {
        at = at / 2;
        last = Math.floor(last / 2);
      }
    } else {
      computed = nodeHash(computed, sibling.toString('latin1'));
    }
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && Buffer.from(computed, 'latin1').equals(root);
}
