/**
 * Owns file primitives whose fdatasync a test can hold back, count, and make fail.
 */
import type { Callback, SpoolFiles } from '../../sidecar/spool/files.ts';

export interface HeldFiles {
  files: SpoolFiles;
  /** From now on no sync is answered until `release`. */
  hold(): void;
  /** Answers those that were held, and holds no more. */
  release(): void;
  /** Syncs that wait now. */
  readonly held: number;
  /** Syncs asked for so far. */
  readonly syncs: number;
  /** The next write or sync fails so, without reaching the disk. */
  failNext(primitive: 'write' | 'syncData', code: string): void;
  /** While set, no segment file can be made ready and no object written. */
  refuseSpace(code: string | null): void;
}

export function createHeldFiles(files: SpoolFiles): HeldFiles {
  let holding = false;
  let waiting: (() => void)[] = [];
  let syncs = 0;
  let failing: { primitive: string; code: string } | null = null;
  let refusing: string | null = null;

  function failed(primitive: string, done: Callback): boolean {
    if (failing?.primitive !== primitive) return false;
    const error = Object.assign(new Error(`${failing.code}: injected`), { code: failing.code });
    failing = null;
    setImmediate(() => done(error));
    return true;
  }
  async function unlessRefused<T>(run: () => Promise<T>): Promise<T> {
    if (refusing !== null) throw Object.assign(new Error(`${refusing}: injected`), { code: refusing });
    return await run();
  }

  return {
    files: {
      ...files,
      write(fd, bytes, position, done) {
        if (!failed('write', done)) files.write(fd, bytes, position, done);
      },
      syncData(fd, done) {
        syncs += 1;
        if (failed('syncData', done)) return;
        files.syncData(fd, (error) => {
          if (holding) waiting.push(() => done(error));
          else done(error);
        });
      },
      createZeroed: (path, size) => unlessRefused(() => files.createZeroed(path, size)),
      writeWhole: (path, bytes) => unlessRefused(() => files.writeWhole(path, bytes)),
      rename: (from, to) => unlessRefused(() => files.rename(from, to)),
    },
    hold() {
      holding = true;
    },
    release() {
      holding = false;
      const released = waiting;
      waiting = [];
      for (const tell of released) tell();
    },
    get held() {
      return waiting.length;
    },
    get syncs() {
      return syncs;
    },
    failNext(primitive, code) {
      failing = { primitive, code };
    },
    refuseSpace(code) {
      refusing = code;
    },
  };
}
