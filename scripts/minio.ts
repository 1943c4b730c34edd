/**
 * Owns `npm run minio`: builds the S3 server that the tests run, when it is not there yet. With `--check` it builds nothing, and fails when
 * it would have to.
 */
import { buildMinio, requireMinio } from '../test/support/minio-binaries.ts';

const check = process.argv.includes('--check');
const { minio } = check ? requireMinio() : await buildMinio((text) => process.stderr.write(`${text}\n`));
process.stdout.write(`MinIO is at ${minio}\n`);
