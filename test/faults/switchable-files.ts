/**
 * Owns file primitives of the spool that fail or hang on command, and a wall clock that steps: what happens inside of one process.
 * Invariant: without a command they are the real ones; a sync that hangs is done when it is let go, never answered without.
 */
import { type Callback, nodeSpoolFiles, type SpoolFiles } from '../../sidecar/spool/files.ts';

/** What is wrong inside of the recorder's process. */
export interface InnerFaults {
  /** The error code of every fdatasync; `hang`: none returns. */
  syncData: string | null;
  /** The error code of every write, and of everything that makes a file. */
  write: string | null;
  /** How far the wall clock has been set (ms). */
  clockMs: number;
}

export const NO_INNER_FAULTS: InnerFaults = { syncData: null, write: null, clockMs: 0 };

export interface SwitchableFiles {
  files: SpoolFiles;
  set(faults: InnerFaults): void;
  /** Primitives that failed or were held. */
  readonly strikes: number;
}

function failure(code: string, what: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: made to fail, ${what}`), { code });
}

export function createSwitchableFiles(): SwitchableFiles {
  let faults = NO_INNER_FAULTS;
  let held: (() => void)[] = [];
  let strikes = 0;

  const refuse = (what: string): NodeJS.ErrnoException | null => {
    if (faults.write === null) return null;
    strikes += 1;
    return failure(faults.write, what);
  };

  function syncData(fd: number, done: Callback): void {
    if (faults.syncData === null) return nodeSpoolFiles.syncData(fd, done);
    strikes += 1;
    if (faults.syncData === 'hang') held.push(() => nodeSpoolFiles.syncData(fd, done));
    else setImmediate(done, failure(faults.syncData, 'fdatasync'));
  }

  const files: SpoolFiles = {
    ...nodeSpoolFiles,
    syncData,
    write(fd, bytes, position, done) {
      const error = refuse('write');
      if (error === null) nodeSpoolFiles.write(fd, bytes, position, done);
      else setImmediate(done, error);
    },
    async createZeroed(file, size) {
      const error = refuse(`open '${file}'`);
      if (error !== null) throw error;
      await nodeSpoolFiles.createZeroed(file, size);
    },
    async writeWhole(file, bytes) {
      const error = refuse(`open '${file}'`);
      if (error !== null) throw error;
      await nodeSpoolFiles.writeWhole(file, bytes);
    },
  };

  return {
    files,
    set(next) {
      faults = next;
      if (next.syncData === 'hang') return;
      const waiting = held;
      held = [];
      for (const sync of waiting) sync();
    },
    get strikes() {
      return strikes;
    },
  };
}

/**
 * Lets the wall clock of this process be set, as an operator or NTP sets it: `Date` steps, `performance.now()` does not.
 * @returns sets it, to so many milliseconds from the real time
 */
export function makeClockSettable(): (ms: number) => void {
  const RealDate = Date;
  let offsetMs = 0;
  class SettableDate extends RealDate {
    constructor(...given: unknown[]) {
      if (given.length === 0) super(RealDate.now() + offsetMs);
      else super(...(given as [number]));
    }
    static override now(): number {
      return RealDate.now() + offsetMs;
    }
  }
  globalThis.Date = SettableDate as DateConstructor;
  return (ms) => {
    offsetMs = ms;
  };
}
