/**
 * Owns the first look at a spool directory: what is of no use goes, spares are kept, everything else is counted.
 */
import type { SpoolFiles } from './files.ts';
import { isSpareName, isStreamName, isTemporaryName, quarantinePath } from './paths.ts';
import type { SegmentFiles } from './segment-files.ts';
import type { Space } from './space.ts';

export interface Inventory {
  /** Folders of earlier streams, oldest first. */
  streams: string[];
  /** Files in quarantine. */
  quarantined: number;
}

/** @param fileBytes size of a segment file: spares of another size (a crash, another configuration) are of no use */
export async function takeInventory(
  directory: string,
  files: SpoolFiles,
  space: Space,
  segmentFiles: SegmentFiles,
  fileBytes: number,
): Promise<Inventory> {
  const names = await files.list(directory);
  for (const name of names) {
    const path = `${directory}/${name}`;
    if (isTemporaryName(name)) await files.remove(path);
    if (!isSpareName(name)) continue;
    if ((await files.size(path)) === fileBytes) segmentFiles.adopt(path);
    else await files.remove(path);
  }
  let quarantined = 0;
  const quarantine = quarantinePath(directory);
  const folders = names.includes('quarantine') ? await files.list(quarantine) : [];
  for (const folder of folders) {
    for (const name of await files.list(`${quarantine}/${folder}`)) {
      const path = `${quarantine}/${folder}/${name}`;
      space.set(path, await files.size(path));
      quarantined += 1;
    }
  }
  return { streams: names.filter(isStreamName).sort(), quarantined };
}
