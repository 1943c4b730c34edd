/**
 * Owns a disk in memory on which a process can fail or die at every single step of every primitive of the spool, and which then keeps
 * what a real one may keep: everything (the process was killed), only what was synced, or synced data with any part of the rest (power).
 * Invariant: it never keeps less than was synced, and after a failed sync it forgets what that sync should have written although reads
 * still show it, as Linux does.
 *
 * Composite primitives take the same steps in the same order as those of sidecar/spool/files.ts.
 */
import { dirname, basename } from 'node:path';
import type { SpoolFiles } from '../../sidecar/spool/files.ts';

const SECTOR_BYTES = 512;

interface FileNode {
  kind: 'file';
  /** What reads show. */
  data: Buffer;
  /** What is on the platter. */
  durable: Buffer;
  pending: { at: number; bytes: Buffer }[];
}

interface DirectoryNode {
  kind: 'directory';
  names: Map<string, Node>;
  durable: Map<string, Node>;
  /** Changes since the last sync, in order. `needs`: the other half of a rename, without which this one never reaches the disk. */
  pending: NameChange[];
}

interface NameChange {
  name: string;
  node: Node | null;
  needs: NameChange | null;
  kept?: boolean;
}

type Node = FileNode | DirectoryNode;

export type Survival = 'killed' | 'only what was synced' | 'torn';

export type Fault =
  | { kind: 'none' }
  /** `times` steps fail, from the step `at` on; a write is done by half before it fails. */
  | { kind: 'fails'; at: number; code: 'EIO' | 'ENOSPC'; times: number }
  /**
   * The process dies instead of the step, or half way through it, where it has a half. `of`: only steps whose name starts so are counted.
   * `failing`: a step before that failed with EIO.
   */
  | { kind: 'dies' | 'dies half way'; at: number; of?: string; failing?: number };

export interface Process {
  files: SpoolFiles;
  /** Steps so far. */
  steps(): number;
  /** Names of the steps, for messages. */
  trace: string[];
  /** Resolves when the process is dead. */
  dead: Promise<void>;
  kill(): void;
  /** A step of something else than the disk. */
  step<T>(what: string, run: () => T | Promise<T>): Promise<T>;
}

export interface CrashDisk {
  /** A process that uses the disk; a former one must be dead or done. */
  start(fault: Fault): Process;
  /** What becomes of unsynced data. */
  lose(survival: Survival, random?: () => number): void;
  /** Paths of all files. */
  paths(): string[];
}

function errno(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code });
}

function put(data: Buffer, bytes: Uint8Array, at: number): Buffer {
  const grown =
    data.length >= at + bytes.length
      ? data
      : Buffer.concat([data, Buffer.alloc(at + bytes.length - data.length)]);
  grown.set(bytes, at);
  return grown;
}

function newDirectory(): DirectoryNode {
  return { kind: 'directory', names: new Map(), durable: new Map(), pending: [] };
}

function loseFile(file: FileNode, survival: Survival, random: () => number): void {
  let { durable } = file;
  if (survival === 'torn') {
    for (const { at, bytes } of file.pending) {
      for (let from = 0; from < bytes.length; ) {
        const to = Math.min(bytes.length, from + SECTOR_BYTES - ((at + from) % SECTOR_BYTES));
        if (random() < 0.5) durable = put(durable, bytes.subarray(from, to), at + from);
        from = to;
      }
    }
  }
  file.durable = durable;
  file.data = Buffer.from(durable);
  file.pending = [];
}

function loseNames(directory: DirectoryNode, survival: Survival, random: () => number): void {
  // In no order: only a sync makes one.
  if (survival === 'torn') for (const change of directory.pending) change.kept = random() < 0.5;
}

function applyKept(directory: DirectoryNode): void {
  for (const { name, node, kept, needs } of directory.pending) {
    if (kept !== true || (needs !== null && needs.kept !== true)) continue;
    if (node === null) directory.durable.delete(name);
    else directory.durable.set(name, node);
  }
  directory.names = new Map(directory.durable);
  directory.pending = [];
}

export function createCrashDisk(): CrashDisk {
  const root = newDirectory();

  function find(path: string): Node | null {
    let node: Node = root;
    for (const part of path.split('/').filter((name) => name !== '')) {
      const next: Node | undefined = node.kind === 'directory' ? node.names.get(part) : undefined;
      if (next === undefined) return null;
      node = next;
    }
    return node;
  }
  function directoryAt(path: string): DirectoryNode {
    const node = find(path);
    if (node?.kind !== 'directory') throw errno('ENOENT', path);
    return node;
  }
  function fileAt(path: string): FileNode {
    const node = find(path);
    if (node?.kind !== 'file') throw errno('ENOENT', path);
    return node;
  }
  function change(path: string, node: Node | null, needs: NameChange | null = null): NameChange {
    const directory = directoryAt(dirname(path));
    const made = { name: basename(path), node, needs };
    directory.pending.push(made);
    if (node === null) directory.names.delete(made.name);
    else directory.names.set(made.name, node);
    return made;
  }
  function syncNames(path: string): void {
    const directory = directoryAt(path);
    // What is synced here stays; so the other half of a rename may reach the disk now, too.
    for (const made of directory.pending) made.kept = true;
    directory.durable = new Map(directory.names);
    directory.pending = [];
  }
  function writeTo(file: FileNode, bytes: Uint8Array, at: number): void {
    file.data = put(file.data, bytes, at);
    file.pending.push({ at, bytes: Buffer.from(bytes) });
  }
  function sync(file: FileNode): void {
    file.durable = Buffer.from(file.data);
    file.pending = [];
  }
  function newFile(): FileNode {
    return { kind: 'file', data: Buffer.alloc(0), durable: Buffer.alloc(0), pending: [] };
  }
  function all(node: Node, path: string, visit: (node: Node, path: string) => void): void {
    visit(node, path);
    if (node.kind !== 'directory') return;
    for (const [name, child] of node.names) all(child, `${path}/${name}`, visit);
    for (const [name, child] of node.durable) {
      if (node.names.get(name) !== child) all(child, `${path}/${name}`, visit);
    }
  }

  return {
    start(fault) {
      const trace: string[] = [];
      let dead = false;
      let die = () => {};
      const death = new Promise<void>((resolve) => {
        die = () => {
          dead = true;
          resolve();
        };
      });
      const never = new Promise<never>(() => {});
      const open = new Map<number, FileNode>();
      let counted = 0;
      let nextFd = 3;

      /** One step. `half`: what a death or an error in the middle leaves; `failing`: what an error leaves. */
      async function step<T>(
        what: string,
        run: () => T | Promise<T>,
        half: () => void = () => {},
        failing: () => void = half,
      ): Promise<T> {
        if (dead) return await never;
        trace.push(what);
        const isCounted = !('of' in fault) || what.startsWith(fault.of as string);
        if (isCounted) counted += 1;
        const number = isCounted ? counted : 0;
        const isFailing = 'failing' in fault && number === fault.failing;
        await new Promise((resolve) => setImmediate(resolve));
        if (dead) return await never;
        if (fault.kind === 'fails' && number >= fault.at && number < fault.at + fault.times) {
          failing();
          throw errno(fault.code, `injected into ${what}`);
        }
        if (isFailing) {
          failing();
          throw errno('EIO', `injected into ${what}`);
        }
        if ((fault.kind === 'dies' || fault.kind === 'dies half way') && number === fault.at) {
          if (fault.kind === 'dies half way') half();
          die();
          return await never;
        }
        return await run();
      }
      const forgetUnsynced = (file: FileNode) => () => {
        file.pending = [];
      };
      const syncDirectory = (path: string) => step(`sync ${path}`, () => syncNames(path));
      async function create(path: string, bytes: Buffer, exclusive: boolean): Promise<void> {
        const file = newFile();
        await step(`create ${path}`, () => {
          if (exclusive && find(path) !== null) throw errno('EEXIST', path);
          change(path, file);
        });
        try {
          await step(
            `fill ${path}`,
            () => writeTo(file, bytes, 0),
            () => writeTo(file, bytes.subarray(0, bytes.length / 2), 0),
          );
          await step(`sync ${path}`, () => sync(file), undefined, forgetUnsynced(file));
        } catch (error) {
          await step(`unlink ${path}`, () => void change(path, null)).catch(() => {});
          throw error;
        }
      }
      function answer(work: Promise<void>, done: (error: NodeJS.ErrnoException | null) => void): void {
        work.then(
          () => setImmediate(() => (dead ? undefined : done(null))),
          (error: NodeJS.ErrnoException) => setImmediate(() => (dead ? undefined : done(error))),
        );
      }
      const nodeOf = (fd: number): FileNode => {
        const file = open.get(fd);
        if (file === undefined) throw errno('EBADF', String(fd));
        return file;
      };

      async function makeDirectory(path: string): Promise<void> {
        const orphan = await step(`mkdir ${path}`, () => {
          if (find(dirname(path)) === null) return true;
          if (find(path) === null) change(path, newDirectory());
          return false;
        });
        if (orphan) {
          await makeDirectory(dirname(path));
          await makeDirectory(path);
          return;
        }
        await syncDirectory(dirname(path));
      }

      const files: SpoolFiles = {
        write(fd, bytes, position, done) {
          const file = nodeOf(fd);
          // The caller may change its buffer after a death, not before.
          const copy = Buffer.from(bytes);
          const half = () => writeTo(file, copy.subarray(0, copy.length / 2), position);
          answer(
            step(`write ${copy.length} at ${position}`, () => writeTo(file, copy, position), half),
            done,
          );
        },
        syncData(fd, done) {
          const file = nodeOf(fd);
          answer(
            step('syncData', () => sync(file), undefined, forgetUnsynced(file)),
            done,
          );
        },
        async createZeroed(path, size) {
          await create(path, Buffer.alloc(size), true);
          await syncDirectory(dirname(path));
        },
        async writeWhole(path, bytes) {
          await create(`${path}.tmp`, Buffer.from(bytes), false);
          await step(`rename ${path}.tmp`, () => {
            const node = fileAt(`${path}.tmp`);
            change(`${path}.tmp`, null, change(path, node));
          });
          await syncDirectory(dirname(path));
        },
        openForWriting: (path) =>
          step(`open ${path}`, () => {
            nextFd += 1;
            open.set(nextFd, fileAt(path));
            return nextFd;
          }),
        close: (fd) => step('close', () => void open.delete(fd)),
        read: (path) => step(`read ${path}`, () => Buffer.from(fileAt(path).data)),
        size: (path) => step(`size ${path}`, () => fileAt(path).data.length),
        list: (path) => step(`list ${path}`, () => [...directoryAt(path).names.keys()]),
        async rename(from, to) {
          await step(`rename ${from} ${to}`, () => {
            const node = find(from);
            if (node === null) throw errno('ENOENT', from);
            change(from, null, change(to, node));
          });
          await syncDirectory(dirname(to));
          if (dirname(from) !== dirname(to)) await syncDirectory(dirname(from));
        },
        remove: (path) =>
          step(`remove ${path}`, () => {
            if (find(path) !== null) change(path, null);
          }),
        removeDirectory: (path) =>
          step(`rmdir ${path}`, () => {
            if (find(path) === null) return;
            if (directoryAt(path).names.size > 0) throw errno('ENOTEMPTY', path);
            change(path, null);
          }),
        makeDirectory,
        syncDirectory,
        fileSystemType: () => step('statfs', () => 0xef53),
        lock: () => () => {},
      };
      return {
        files,
        trace,
        steps: () => trace.length,
        dead: death,
        kill: () => die(),
        step: (what, run) => step(what, run),
      };
    },
    lose(survival, random = Math.random) {
      if (survival === 'killed') return;
      const directories: DirectoryNode[] = [];
      all(root, '', (node) => {
        if (node.kind === 'file') loseFile(node, survival, random);
        else directories.push(node);
      });
      for (const directory of directories) loseNames(directory, survival, random);
      for (const directory of directories) applyKept(directory);
    },
    paths() {
      const found: string[] = [];
      all(root, '', (node, path) => {
        if (node.kind === 'file' && find(path) === node) found.push(path);
      });
      return found;
    },
  };
}
