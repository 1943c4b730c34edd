import { createHash } from 'node:crypto';
import fs from 'node:fs';
import {
  createProver,
  createTree,
  inclusionProof,
  leafHash,
  leafHashInPlace,
  rootOf,
  verifyInclusion,
} from '@mcp-recorder/recording/proof/merkle';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const vectors = JSON.parse(fs.readFileSync(new URL('../vectors/merkle.json', import.meta.url), 'utf8')) as {
  leaves: string[];
  roots: string[];
  paths: { size: number; index: number; path: string[] }[];
};
const published = vectors.leaves.map((hex) => Buffer.from(hex, 'hex'));
const lines = fc.array(fc.uint8Array({ maxLength: 20 }), { minLength: 1, maxLength: 70 });

/** RFC 6962 2.1 as it is written there. */
function rootByDefinition(data: readonly Uint8Array[]): Buffer {
  const sha256 = (...parts: Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest();
  if (data.length === 0) return sha256();
  if (data.length === 1) return sha256(Buffer.of(0), data[0] as Uint8Array);
  const k = 2 ** Math.floor(Math.log2(data.length - 1));
  return sha256(Buffer.of(1), rootByDefinition(data.slice(0, k)), rootByDefinition(data.slice(k)));
}

describe('the hash tree', () => {
  it('has the published roots at every size', () => {
    const tree = createTree();
    const roots = [tree.root()];
    for (const leaf of published) {
      tree.append(leafHash(leaf));
      roots.push(tree.root());
    }
    expect(roots.map((root) => root.toString('hex'))).toEqual(vectors.roots);
    expect(tree.size).toBe(8);
  });

  it('gives the published inclusion proofs', () => {
    for (const { size, index, path } of vectors.paths) {
      const leaves = published.slice(0, size).map(leafHash);
      expect(inclusionProof(leaves, index).map((hash) => hash.toString('hex'))).toEqual(path);
    }
  });

  it('is the tree of RFC 6962 for any lines, and proves each of them', () => {
    fc.assert(
      fc.property(lines, (data) => {
        const leaves = data.map(leafHash);
        const root = rootOf(leaves);
        expect(root).toEqual(rootByDefinition(data));
        const prove = createProver(leaves);
        leaves.forEach((leaf, i) =>
          expect(verifyInclusion(leaf, i, leaves.length, prove(i), root)).toBe(true),
        );
      }),
    );
  });

  it('proves no other leaf, place, size, path or root', () => {
    const size = fc.integer({ min: 1, max: 40 });
    fc.assert(
      fc.property(size, fc.nat(), fc.nat(), (n, a, b) => {
        const leaves = Array.from({ length: n }, (_, i) => leafHash(Buffer.from(`line ${i}`)));
        const index = a % n;
        const leaf = leaves[index] as string;
        const path = inclusionProof(leaves, index);
        const root = rootOf(leaves);
        const other = leafHash(Buffer.from('another line'));
        expect(verifyInclusion(other, index, n, path, root)).toBe(false);
        expect(verifyInclusion(leaf, index, n, path, Buffer.from(other, 'latin1'))).toBe(false);
        expect(verifyInclusion(leaf, index, n, [...path, root], root)).toBe(false);
        expect(verifyInclusion(leaf, n, n, path, root)).toBe(false);
        expect(verifyInclusion(leaf, -1, n, path, root)).toBe(false);
        if (n === 1) return;
        expect(verifyInclusion(leaf, index, n, path.slice(1), root)).toBe(false);
        const elsewhere = (index + 1 + (b % (n - 1))) % n;
        expect(verifyInclusion(leaf, elsewhere, n, path, root)).toBe(false);
        const changed = path.map((hash, i) => (i === b % path.length ? Buffer.from(other, 'latin1') : hash));
        expect(verifyInclusion(leaf, index, n, changed, root)).toBe(false);
      }),
    );
  });

  it('takes no shortened hash for a whole one', () => {
    const leaves = [Buffer.of(1), Buffer.of(2)].map(leafHash);
    const [sibling = Buffer.alloc(0)] = inclusionProof(leaves, 0);
    expect(verifyInclusion(leaves[0] as string, 0, 2, [sibling], rootOf(leaves))).toBe(true);
    expect(verifyInclusion(leaves[0] as string, 0, 2, [sibling.subarray(0, 31)], rootOf(leaves))).toBe(false);
  });

  it('hashes a line within a buffer without changing the buffer', () => {
    const buffer = Buffer.from('\nfirst line\nsecond line\n');
    expect(leafHashInPlace(buffer, 1, 11)).toBe(leafHash(Buffer.from('first line')));
    expect(leafHashInPlace(buffer, 12, 23)).toBe(leafHash(Buffer.from('second line')));
    expect(buffer.toString()).toBe('\nfirst line\nsecond line\n');
    expect(() => leafHashInPlace(buffer, 0, 5)).toThrow(/needs a byte before/);
  });

  it('has no proof for a line that is not in it', () => {
    expect(() => inclusionProof([], 0)).toThrow(/no leaf 0 in a tree of 0/);
    expect(() => inclusionProof([leafHash(Buffer.of(1))], 1)).toThrow(/no leaf 1/);
  });
});
