/**
 * Owns the two programs that the S3 tests run: MinIO itself and its administration, built from the Go module in `minio/`.
 * Invariant: they stand outside the repository, in a folder named by the module's contents; what stands there is whole.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { findGo } from './go.ts';

export interface MinioBinaries {
  minio: string;
  admin: string;
}

const MODULE = path.join(import.meta.dirname, 'minio');
const MODULE_FILES = ['go.mod', 'go.sum', 'admin/main.go'];
const BUILD_COMMAND = 'npm run minio';
const run = promisify(execFile);

function binariesFolder(): string {
  const digest = createHash('sha256');
  for (const name of MODULE_FILES) digest.update(fs.readFileSync(path.join(MODULE, name)));
  const cache = process.env['XDG_CACHE_HOME'] || path.join(os.homedir(), '.cache');
  return path.join(cache, 'mcp-recorder', `minio-${digest.digest('hex').slice(0, 16)}`);
}

function paths(folder: string): MinioBinaries {
  return { minio: path.join(folder, 'minio'), admin: path.join(folder, 'minio-admin') };
}

function areThere({ minio, admin }: MinioBinaries): boolean {
  return fs.existsSync(minio) && fs.existsSync(admin);
}

/** Where the programs are. @throws an error that says what builds them, when they are not there */
export function requireMinio(): MinioBinaries {
  const binaries = paths(binariesFolder());
  if (areThere(binaries)) return binaries;
  throw new Error(
    `the S3 tests need MinIO, and ${binaries.minio} is not there: build it with \`${BUILD_COMMAND}\` (needs Go; 5 minutes the first time)`,
  );
}

/**
 * Builds what is missing. Two builders at once do the work twice and disturb nobody: each renames whole files into place.
 * @param say hears what begins
 */
export async function buildMinio(say: (text: string) => void): Promise<MinioBinaries> {
  const folder = binariesFolder();
  const binaries = paths(folder);
  if (areThere(binaries)) return binaries;
  const go = await findGo('MinIO is built from its Go module');
  fs.mkdirSync(folder, { recursive: true });
  const build = async (target: string, source: string) => {
    if (fs.existsSync(target)) return;
    say(`building ${target}`);
    const unfinished = `${target}.${process.pid}`;
    try {
      const flags = ['-buildvcs=false', '-trimpath', '-ldflags', '-s -w'];
      await run(go, ['build', ...flags, '-o', unfinished, source], {
        cwd: MODULE,
        env: { ...process.env, CGO_ENABLED: '0' },
      });
      fs.renameSync(unfinished, target);
    } finally {
      fs.rmSync(unfinished, { force: true });
    }
  };
  await build(binaries.admin, './admin');
  await build(binaries.minio, 'github.com/minio/minio');
  return binaries;
}
