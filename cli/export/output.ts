/**
 * Owns the files of an export.
 * Invariant: a file with the name that was asked for is whole; what was there before is never lost without being asked for.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import fs from 'node:fs/promises';
import { CommandFailure } from '../failure.ts';

/** A file that is written. */
export interface Output {
  /** Where it is written until it is whole. */
  readonly temporary: string;
  write(piece: string | Uint8Array): Promise<void>;
  /** Makes it the file that was asked for. @returns its size in bytes and its SHA-256, hex */
  finish(): Promise<{ bytes: number; sha256: string }>;
  /** Leaves nothing behind. */
  discard(): Promise<void>;
}

/** @param force what is there may be replaced @throws CommandFailure */
export async function openOutput(file: string, force: boolean): Promise<Output> {
  if (!force && (await exists(file))) {
    throw new CommandFailure(`${file} is there already. Give another name, or --force to replace it.`);
  }
  const temporary = `${file}.${process.pid}.part`;
  const handle = await fs.open(temporary, 'wx').catch((error: NodeJS.ErrnoException) => {
    throw new CommandFailure(`Can't write ${file}: ${error.code ?? error.message}.`);
  });
  return {
    temporary,
    async write(piece) {
      await handle.writeFile(piece);
    },
    async finish() {
      await handle.sync();
      await handle.close();
      const digest = createHash('sha256');
      let bytes = 0;
      for await (const piece of createReadStream(temporary)) {
        digest.update(piece as Buffer);
        bytes += (piece as Buffer).length;
      }
      // A file that came meanwhile is not replaced.
      if (force) await fs.rename(temporary, file);
      else {
        await fs.link(temporary, file);
        await fs.unlink(temporary);
      }
      return { bytes, sha256: digest.digest('hex') };
    },
    async discard() {
      await handle.close().catch(() => {});
      await fs.rm(temporary, { force: true });
    },
  };
}

async function exists(file: string): Promise<boolean> {
  try {
    await fs.lstat(file);
    return true;
  } catch {
    return false;
  }
}
