/**
 * Owns faults of the directory store's primitives: the n-th call fails, writes short, or is the last thing that the process does.
 * Invariant: every call of every primitive passes through one counter, so that no call can be left out of the tests.
 */
import type { DirectoryFiles, OpenFile } from '@mcp-recorder/recording/store/directory-files';

export type Fault =
  | { kind: 'fails'; code: 'EIO' | 'ENOSPC' | 'EACCES' }
  /** The process dies instead of making the call. */
  | { kind: 'dies before' }
  /** The call is made, but nobody lives to see its answer. */
  | { kind: 'dies after' }
  /** An append writes half, and the process dies. Other calls: as `dies after`. */
  | { kind: 'dies half way' };

export interface FaultyFiles {
  files: DirectoryFiles;
  /** Calls so far. */
  calls(): number;
  /** Resolves when the process of these files is dead. */
  dead: Promise<'dead'>;
  /** Closes what the dead process held open, as the kernel does. */
  bury(): Promise<void>;
}

/**
 * @param at which call the fault strikes, from 1; Infinity for none
 * @param shortWrites every append takes at most this many bytes
 */
export function createFaultyFiles(
  files: DirectoryFiles,
  at: number,
  fault: Fault,
  shortWrites = Infinity,
): FaultyFiles {
  let count = 0;
  const { promise: dead, resolve: die } = Promise.withResolvers<'dead'>();
  const never = new Promise<never>(() => {});
  const open = new Set<OpenFile>();

  async function strike<T>(run: () => Promise<T>, runHalf = run): Promise<T> {
    count += 1;
    if (count < at || (count > at && fault.kind === 'fails')) return await run();
    if (count > at) return await never;
    if (fault.kind === 'fails')
      throw Object.assign(new Error(`${fault.code}: injected`), { code: fault.code });
    try {
      if (fault.kind === 'dies after') await run();
      if (fault.kind === 'dies half way') await runHalf();
    } catch {
      // Whatever the call answered: nobody lives to see it.
    }
    die('dead');
    return await never;
  }

  const wrapOpen = (file: OpenFile): OpenFile => ({
    append: (bytes) => {
      const some = bytes.subarray(0, shortWrites);
      return strike(
        () => file.append(some),
        () => file.append(some.subarray(0, Math.ceil(some.length / 2))),
      );
    },
    sync: () => strike(() => file.sync()),
    close: () => {
      open.delete(file);
      // A close that reports an error has closed all the same.
      const closed = file.close();
      return strike(() => closed);
    },
  });

  return {
    files: {
      createExclusive: (path) =>
        strike(async () => {
          const file = await files.createExclusive(path);
          open.add(file);
          return wrapOpen(file);
        }),
      link: (existing, added) => strike(() => files.link(existing, added)),
      unlink: (path) => strike(() => files.unlink(path)),
      makeDirectory: (path) => strike(() => files.makeDirectory(path)),
      syncDirectory: (path) => strike(() => files.syncDirectory(path)),
      syncFile: (path) => strike(() => files.syncFile(path)),
      read: (path) => strike(() => files.read(path)),
      facts: (path) => strike(() => files.facts(path)),
      list: (directory) => strike(() => files.list(directory)),
    },
    calls: () => count,
    dead,
    async bury() {
      for (const file of open) await file.close();
    },
  };
}
