import { createS3Store } from '@mcp-recorder/recording/store/s3-store';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readFile } from 'node:fs/promises';
import { type Minio, startMinio } from '../../support/minio.ts';
import { eventually } from '../../support/poll.ts';
import { type Rig, startRig, storedLines } from './rig.ts';

let minio: Minio;
let rig: Rig;
beforeAll(async () => {
  minio = await startMinio();
});
afterEach(() => rig.remove());
afterAll(() => minio?.stop());

describe('mcp-recorder tail of a bucket', () => {
  it('waits while the store is away, says so, and shows afterwards all that was recorded meanwhile, once', async () => {
    const options = minio.options('plain', 'tail');
    const flags = ['--s3-endpoint', minio.endpoint, '--s3-path-style', '--s3-region', options.region ?? ''];
    const files = options.credentialFiles as NonNullable<typeof options.credentialFiles>;
    const env = {
      AWS_ACCESS_KEY_ID: await readFile(files.accessKeyId, 'utf8'),
      AWS_SECRET_ACCESS_KEY: await readFile(files.secretAccessKey, 'utf8'),
    };
    rig = await startRig(() => ['--store', 's3://plain/tail', ...flags, '--max-upload-lag', '5m'], env);
    await rig.start();
    const from = ['s3://plain/tail', ...flags, '--raw', '--since', '1h'];
    const live = ['--live', `http://127.0.0.1:${rig.statusPort}`, '--token-file', rig.tokenFile];
    const both = rig.tail(...from, ...live);
    const storeOnly = rig.tail(...from);
    const within = { withinMs: 40_000, everyMs: 100 };
    await eventually(() => [both, storeOnly].every((tail) => /Following/.test(tail.stderr())), within);
    await rig.call('before');
    await eventually(() => storeOnly.lines().length > 0, within);
    await minio.kill();
    await rig.call('during');
    // It comes live although the store is away.
    await eventually(() => both.stdout().includes('during'), { withinMs: 3_000 });
    await eventually(
      () => [both, storeOnly].every((tail) => /can't be read now/.test(tail.stderr())),
      within,
    );
    await rig.recorder().stop('SIGKILL');
    await minio.restart();
    await rig.start();
    await rig.call('after');
    await rig.recorder().stop('SIGTERM');
    const stored = await storedLines(createS3Store(options));
    expect(stored.some((line) => line.includes('during'))).toBe(true);
    for (const tail of [both, storeOnly]) {
      await eventually(() => tail.lines().length >= stored.length, within).catch(() => {});
      expect(tail.lines().toSorted()).toEqual(stored);
      expect(tail.stderr()).toContain('answers again');
      expect(tail.stderr()).not.toContain('did not come');
      expect(await tail.end()).toBe(0);
    }
  });
});
