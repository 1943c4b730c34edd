import { randomUUID } from 'node:crypto';
import { createS3Store } from '@mcp-recorder/recording/store/s3-store';
import { afterAll, beforeAll } from 'vitest';
import { type Minio, MINIO_BUCKETS, startMinio } from '../support/minio.ts';
import { describeObjectStore } from './object-store-contract.ts';

let minio: Minio;
beforeAll(async () => {
  minio = await startMinio();
});
afterAll(() => minio.stop());

for (const bucket of MINIO_BUCKETS) {
  describeObjectStore(`the S3 store on the ${bucket} bucket of MinIO`, async () => ({
    store: createS3Store(minio.options(bucket, `tests/${randomUUID()}`)),
    // Each test has a prefix of its own; the server goes with its data.
    dispose: async () => {},
  }));
}
