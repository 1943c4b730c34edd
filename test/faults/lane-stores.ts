/**
 * Owns the stores that lanes write to: a bucket of a real MinIO, each lane under a prefix of its own, or a directory.
 */
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import { createS3Store } from '@mcp-recorder/recording/store/s3-store';
import type { Minio } from '../support/minio.ts';
import type { LaneStore } from './fault-lane.ts';

type Bucket = 'plain' | 'versioned' | 'locked';

export function bucketOf(minio: Minio, bucket: Bucket, prefix: string): LaneStore {
  const options = minio.options(bucket, prefix);
  const { region, pathStyle, credentialFiles } = options;
  const { accessKeyId, secretAccessKey } = credentialFiles ?? {};
  return {
    port: minio.port,
    section: (endpoint) => ({
      s3: { bucket, prefix, region, endpoint, pathStyle, credentialFiles: { accessKeyId, secretAccessKey } },
    }),
    open: () => createS3Store(options),
  };
}

/** For tests of the harness itself. */
export function directoryOf(directory: string): LaneStore {
  return { port: null, section: () => ({ directory }), open: () => createDirectoryStore(directory) };
}
