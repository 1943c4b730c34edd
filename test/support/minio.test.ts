import os from 'node:os';
import path from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { startMinio } from './minio.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

it('says which command builds MinIO when it is not built', async () => {
  vi.stubEnv('XDG_CACHE_HOME', path.join(os.tmpdir(), 'no-such-cache'));
  await expect(startMinio()).rejects.toThrow('`npm run minio`');
});
