/**
 * Owns a small ext4 file system of its own, in a file, mounted for the time of a test: it can be full, and it can turn read-only under its
 * users, as the kernel does to a disk that fails.
 * Invariants: what was mounted is unmounted and its file removed, also when the test process ends early; only what this module mounted is.
 */
import { execFile, spawnSync } from 'node:child_process';
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface SmallDisk {
  /** Where it is mounted. */
  directory: string;
  /** Takes all the space there is, and all that comes free, until `free`. */
  fill(): Promise<void>;
  free(): Promise<void>;
  /** As after an error of the device: what is open can't be written any more either. Only `repair` helps. */
  turnReadOnly(): Promise<void>;
  /** Unmounts, checks and mounts it again; nobody may have files open on it. */
  repair(): Promise<void>;
  /** Every write and sync waits until `thaw`. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  close(): Promise<void>;
}

const BALLAST = 'ballast';
/** How often the ballast grows into what came free (ms). */
const REFILL_MS = 20;
const PIECE = Buffer.alloc(1024 * 1024, 'x');
const SMALL_PIECE = 4096;

/** Why small disks can't be had here; null when they can. */
export async function smallDiskObstacle(): Promise<string | null> {
  if (process.getuid?.() !== 0) return 'mounting a small disk needs root';
  for (const [tool, from] of [
    ['mkfs.ext4', 'e2fsprogs'],
    ['e2fsck', 'e2fsprogs'],
    ['mount', 'mount'],
    ['losetup', 'mount'],
    ['fsfreeze', 'util-linux'],
  ]) {
    const found = await run('which', [tool as string]).then(
      () => true,
      () => false,
    );
    if (!found) return `a small disk needs ${tool}, from the package ${from}`;
  }
  const loops = await readdir('/dev').then((names) => names.includes('loop-control'));
  return loops ? null : 'a small disk needs /dev/loop-control';
}

/** @throws when there is an obstacle (above), or no loop device is left */
export async function mountSmallDisk(mebibytes: number): Promise<SmallDisk> {
  const obstacle = await smallDiskObstacle();
  if (obstacle !== null) throw new Error(obstacle);
  const home = await mkdtemp(path.join(tmpdir(), 'mcp-recorder-disk-'));
  const image = path.join(home, 'image');
  const directory = path.join(home, 'disk');
  let ballast: number | null = null;
  let refilling: NodeJS.Timeout | undefined;
  let mounted = false;

  const mount = async () => {
    await run('mount', ['-o', 'loop,errors=remount-ro', image, directory]);
    mounted = true;
  };
  const unmount = async () => {
    await run('umount', [directory]);
    mounted = false;
  };
  /** At the latest when the test process ends: lazily, since a recorder may still have files open. */
  const removeNow = () => {
    if (mounted) {
      // Fails when it is not frozen; what is frozen can't be unmounted.
      spawnSync('fsfreeze', ['-u', directory], { stdio: 'ignore' });
      spawnSync('umount', ['-l', directory], { stdio: 'ignore' });
    }
    rmSync(home, { recursive: true, force: true });
  };

  function grow(fd: number): void {
    for (const piece of [PIECE, PIECE.subarray(0, SMALL_PIECE)]) {
      try {
        while (writeSync(fd, piece) === piece.length);
        // What is allocated late is allocated now, so that others meet the full disk when they write.
        fsyncSync(fd);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      }
    }
  }

  async function free(): Promise<void> {
    clearInterval(refilling);
    if (ballast === null) return;
    closeSync(ballast);
    ballast = null;
    await rm(path.join(directory, BALLAST), { force: true });
  }

  await writeFile(image, '');
  await truncate(image, mebibytes * 1024 * 1024);
  await mkdir(directory);
  // Without blocks that are kept for root: full is full.
  await run('mkfs.ext4', ['-q', '-F', '-m', '0', image]);
  process.once('exit', removeNow);
  await mount();
  return {
    directory,
    async fill() {
      const fd = openSync(path.join(directory, BALLAST), 'w');
      ballast = fd;
      grow(fd);
      refilling = setInterval(() => grow(fd), REFILL_MS);
    },
    free,
    async turnReadOnly() {
      const { stdout } = await run('losetup', ['-j', image, '-O', 'NAME', '-n']);
      const trigger = `/sys/fs/ext4/${path.basename(stdout.trim())}/trigger_fs_error`;
      const handle = await open(trigger, 'w');
      await handle.write('1');
      await handle.close();
    },
    async repair() {
      await unmount();
      // Exit code 1: there were errors, and they are corrected.
      await run('e2fsck', ['-fy', image]).catch((error: { code?: unknown }) => {
        if (error.code !== 1) throw error;
      });
      await mount();
    },
    freeze: async () => void (await run('fsfreeze', ['-f', directory])),
    thaw: async () => void (await run('fsfreeze', ['-u', directory])),
    async close() {
      clearInterval(refilling);
      if (ballast !== null) closeSync(ballast);
      ballast = null;
      process.off('exit', removeNow);
      if (mounted) await run('umount', [directory]).catch(() => run('umount', ['-l', directory]));
      mounted = false;
      await rm(home, { recursive: true, force: true });
    },
  };
}
