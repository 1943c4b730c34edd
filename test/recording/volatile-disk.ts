/**
 * Owns a disk in memory that forgets at a power loss what nobody synced: names by the sync of their directory, contents by the sync of
 * their file. A real file system may keep more than that, never less.
 * Invariant: it answers as the real primitives do (EEXIST, ENOENT), so that the store can't tell the difference.
 */
import type { DirectoryFiles } from '@mcp-recorder/recording/store/directory-files';

interface FileNode {
  kind: 'file';
  contents: Buffer;
  synced: Buffer;
}

interface DirectoryNode {
  kind: 'directory';
  names: Map<string, Node>;
  synced: Map<string, Node>;
}

type Node = FileNode | DirectoryNode;

/** What the power loss spares: nothing unsynced, or names that reached the disk ahead of their contents. */
export type Spared = 'only what was synced' | 'names but not contents';

export interface VolatileDisk {
  files: DirectoryFiles;
  /** What a machine finds after its power came back. */
  afterPowerLoss(spared: Spared): VolatileDisk;
}

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}

function emptyDirectory(): DirectoryNode {
  return { kind: 'directory', names: new Map(), synced: new Map() };
}

function survivor(node: Node, spared: Spared): Node {
  if (node.kind === 'file') return { kind: 'file', contents: Buffer.from(node.synced), synced: node.synced };
  const names = new Map<string, Node>();
  for (const [name, child] of spared === 'only what was synced' ? node.synced : node.names) {
    names.set(name, survivor(child, spared));
  }
  return { kind: 'directory', names, synced: new Map(names) };
}

export function createVolatileDisk(root: DirectoryNode = emptyDirectory()): VolatileDisk {
  function find(path: string): Node | null {
    let node: Node = root;
    for (const part of path.split('/').filter((name) => name !== '')) {
      const next: Node | undefined = node.kind === 'directory' ? node.names.get(part) : undefined;
      if (next === undefined) return null;
      node = next;
    }
    return node;
  }
  function directory(path: string): DirectoryNode {
    const node = find(path);
    if (node === null) throw failure('ENOENT', path);
    if (node.kind !== 'directory') throw failure('ENOTDIR', path);
    return node;
  }
  function file(path: string): FileNode {
    const node = find(path);
    if (node === null) throw failure('ENOENT', path);
    if (node.kind !== 'file') throw failure('EINVAL', path);
    return node;
  }
  function add(path: string, node: Node): void {
    const names = directory(path.slice(0, path.lastIndexOf('/'))).names;
    const name = path.slice(path.lastIndexOf('/') + 1);
    if (names.has(name)) throw failure('EEXIST', path);
    names.set(name, node);
  }

  const files: DirectoryFiles = {
    async createExclusive(path) {
      const node: FileNode = { kind: 'file', contents: Buffer.alloc(0), synced: Buffer.alloc(0) };
      add(path, node);
      return {
        async append(bytes) {
          node.contents = Buffer.concat([node.contents, bytes]);
          return bytes.length;
        },
        async sync() {
          node.synced = node.contents;
        },
        async close() {},
      };
    },
    link: async (existing, added) => add(added, file(existing)),
    async unlink(path) {
      file(path);
      directory(path.slice(0, path.lastIndexOf('/'))).names.delete(path.slice(path.lastIndexOf('/') + 1));
    },
    makeDirectory: async (path) => add(path, emptyDirectory()),
    async syncDirectory(path) {
      const node = directory(path);
      node.synced = new Map(node.names);
    },
    async syncFile(path) {
      const node = file(path);
      node.synced = node.contents;
    },
    read: async (path) => Buffer.from(file(path).contents),
    async facts(path) {
      const node = find(path);
      if (node === null) return null;
      const size = node.kind === 'file' ? node.contents.length : 0;
      return { size, modifiedMs: Date.now(), isFile: node.kind === 'file' };
    },
    async list(path) {
      const entries = [...directory(path).names];
      return entries.map(([name, node]) => ({
        name,
        isFile: () => node.kind === 'file',
        isDirectory: () => node.kind === 'directory',
      }));
    },
  };
  return {
    files,
    afterPowerLoss: (spared) => createVolatileDisk(survivor(root, spared) as DirectoryNode),
  };
}
