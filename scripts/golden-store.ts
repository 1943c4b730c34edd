/**
 * Writes the golden fixtures (test/fixtures/store): a small store as every later version must be able to read it.
 * Run by hand, once for each version of the format: `node scripts/golden-store.ts`. A test compares the lines, not the
 * compressed bytes, which depend on the version of zstd.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { goldenStore } from '../test/recording/golden-store.ts';
import { objectOf } from '../test/recording/stream-builder.ts';

const store = path.join(import.meta.dirname, '..', 'test', 'fixtures', 'store');
await rm(store, { recursive: true, force: true });
for (const { key, lines } of goldenStore()) {
  const file = path.join(store, key);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, objectOf(lines));
  console.log(`wrote ${key}`);
}
