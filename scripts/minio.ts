/** Owns `npm run minio`: builds the S3 server that the tests run, when it is not there yet. */
import { buildMinio } from '../test/support/minio-binaries.ts';

const { minio } = await buildMinio((text) => process.stdout.write(`${text}\n`));
process.stdout.write(`MinIO is at ${minio}\n`);
