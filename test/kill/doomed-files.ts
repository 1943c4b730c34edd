/**
 * Owns file primitives, of the spool and of the directory store together, of which the n-th is the last thing that this process does: it
 * sends itself SIGKILL before it, after it, or when half of it is done.
 * Invariant: every primitive that changes something passes through one counter, so that no place between two of them is left out.
 */
import { writeFileSync, writeSync } from 'node:fs';
import { type DirectoryFiles, nodeDirectoryFiles } from '@mcp-recorder/recording/store/directory-files';
import { nodeSpoolFiles, type SpoolFiles } from '../../sidecar/spool/files.ts';

/** Where in the last primitive the process dies. */
export type Death = 'before' | 'half' | 'after';

export interface DoomedFiles {
  spool: SpoolFiles;
  store: DirectoryFiles;
  /** From now on the n-th primitive, from 1, is the last. */
  doom(at: number, how: Death): void;
  /** Primitives since then, or since the beginning. */
  count(): number;
}

function die(): never {
  process.kill(process.pid, 'SIGKILL');
  throw new Error('SIGKILL to oneself has an effect before kill(2) returns');
}

const firstHalf = (bytes: Uint8Array) => bytes.subarray(0, Math.ceil(bytes.length / 2));

/** The real primitives; nothing happens to them until `doom` is called. */
export function createDoomedFiles(): DoomedFiles {
  let count = 0;
  let last = { at: Infinity, how: 'before' as Death };

  /** How the process must end around this call, or null. */
  function strike(): Death | null {
    count += 1;
    return count === last.at ? last.how : null;
  }

  /** @param half does half of it; without it there is no half, and it is done whole */
  function mortal<Given extends unknown[], Answer>(
    act: (...given: Given) => Promise<Answer>,
    half: (...given: Given) => unknown = act,
  ): (...given: Given) => Promise<Answer> {
    return async (...given) => {
      const how = strike();
      if (how === null) return await act(...given);
      // Whether it succeeds is all the same: a directory may be there already.
      if (how !== 'before') await Promise.try(how === 'half' ? half : act, ...given).catch(() => {});
      return die();
    };
  }

  const disk = nodeSpoolFiles;
  const spool: SpoolFiles = {
    ...disk,
    write(fd, bytes, position, done) {
      const how = strike();
      if (how === 'before') die();
      if (how === 'half') {
        const half = firstHalf(bytes);
        writeSync(fd, half, 0, half.length, position);
        die();
      }
      disk.write(fd, bytes, position, how === 'after' ? die : done);
    },
    syncData(fd, done) {
      const how = strike();
      if (how === 'before') die();
      disk.syncData(fd, how === null ? done : die);
    },
    createZeroed: mortal(disk.createZeroed, (file, size) =>
      writeFileSync(file, Buffer.alloc(Math.ceil(size / 2))),
    ),
    writeWhole: mortal(disk.writeWhole, (file, bytes) => writeFileSync(`${file}.tmp`, firstHalf(bytes))),
    rename: mortal(disk.rename),
    remove: mortal(disk.remove),
    removeDirectory: mortal(disk.removeDirectory),
    makeDirectory: mortal(disk.makeDirectory),
    syncDirectory: mortal(disk.syncDirectory),
  };

  const tree = nodeDirectoryFiles;
  const store: DirectoryFiles = {
    ...tree,
    createExclusive: mortal(async (file) => {
      const opened = await tree.createExclusive(file);
      return {
        append: mortal(opened.append, (bytes) => opened.append(firstHalf(bytes))),
        sync: mortal(opened.sync),
        close: opened.close,
      };
    }),
    link: mortal(tree.link),
    unlink: mortal(tree.unlink),
    makeDirectory: mortal(tree.makeDirectory),
    syncDirectory: mortal(tree.syncDirectory),
    syncFile: mortal(tree.syncFile),
  };

  return {
    spool,
    store,
    doom(at, how) {
      count = 0;
      last = { at, how };
    },
    count: () => count,
  };
}
