import type { ObjectStore } from './object-store.ts';
import type { S3StoreOptions } from './s3-options.ts';
export function createS3Store(_options: S3StoreOptions): ObjectStore {
  throw new Error('being written');
}
