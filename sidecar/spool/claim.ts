/**
 * Owns whether a directory may be this process's spool: big enough a limit, a disk, and nobody else's.
 */
import type { SpoolFiles } from './files.ts';
import { SpoolDirectoryError } from './lock.ts';

/** f_type of tmpfs and ramfs (statfs(2)). */
const MEMORY_FILE_SYSTEMS = new Set([0x01021994, 0x858458f6]);
/** One file being written, one ready, one being compressed, and its object. */
const MIN_FILES = 4;
const MIN_SEGMENT_BYTES = 16 * 1024;

export interface ClaimOptions {
  directory: string;
  files: SpoolFiles;
  allowTmpfs: boolean;
  segmentBytes: number;
  /** Size of a segment file. */
  fileBytes: number;
  sizeLimit: number;
}

/**
 * Creates the directory when it is missing, and claims it.
 * @returns how to give it back
 * @throws SpoolDirectoryError
 */
export async function claimDirectory(options: ClaimOptions): Promise<() => void> {
  const { directory, files, fileBytes, segmentBytes, sizeLimit } = options;
  if (segmentBytes < MIN_SEGMENT_BYTES || sizeLimit < MIN_FILES * fileBytes) {
    throw new SpoolDirectoryError(
      'too_small',
      `the spool may hold ${sizeLimit} bytes in segments of ${segmentBytes}; it needs at least ${MIN_FILES * fileBytes} in segments of ${MIN_SEGMENT_BYTES}`,
      'Raise recording.spool.sizeLimit.',
    );
  }
  let type: number;
  try {
    await files.makeDirectory(directory);
    type = await files.fileSystemType(directory);
  } catch (error) {
    throw unusable(directory, error);
  }
  if (MEMORY_FILE_SYSTEMS.has(type >>> 0) && !options.allowTmpfs) {
    throw new SpoolDirectoryError(
      'tmpfs',
      `spool directory ${directory} is in memory (tmpfs): what is spooled there would not survive the machine`,
      'Use a directory on a disk, or set recording.spool.allowTmpfs when recordings may be lost with the machine.',
    );
  }
  return files.lock(directory);
}

/** The directory is there, but can't be worked with. */
export function unusable(directory: string, cause: unknown): SpoolDirectoryError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new SpoolDirectoryError(
    'unusable',
    `spool directory ${directory} can't be used: ${why}`,
    'It must be writable for this user, on a disk that works.',
    cause,
  );
}
