import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs, { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import { verifyStore } from '@mcp-recorder/recording/read/verify-store';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nodeSpoolFiles as files } from '../../sidecar/spool/files.ts';
import { startProcess, tail } from './spool-process.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'spool-files-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const at = (name: string) => path.join(directory, name);
const modeOf = (name: string) => statSync(at(name)).mode & 0o777;

function write(fd: number, bytes: Uint8Array, position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    files.write(fd, bytes, position, (error) => (error === null ? resolve() : reject(error)));
  });
}

describe('the file primitives', () => {
  test('create zeroed files of their size that nobody else reads, and never over another', async () => {
    await files.createZeroed(at('zeros'), 2_500_000);
    const bytes = await files.read(at('zeros'));
    expect(bytes.length).toBe(2_500_000);
    expect(bytes.some((byte) => byte !== 0)).toBe(false);
    expect(modeOf('zeros')).toBe(0o600);
    await expect(files.createZeroed(at('zeros'), 1)).rejects.toMatchObject({ code: 'EEXIST' });
    expect(await files.size(at('zeros'))).toBe(2_500_000);
  });

  test('write a file whole in place of another and leave nothing beside it', async () => {
    await files.writeWhole(at('whole'), Buffer.from('one'));
    await files.writeWhole(at('whole'), Buffer.from('two'));
    expect((await files.read(at('whole'))).toString()).toBe('two');
    expect(await files.list(directory)).toEqual(['whole']);
    expect(modeOf('whole')).toBe(0o600);
  });

  test('write at a position without changing what stands beside it, also when the system takes only some bytes at once', async () => {
    await files.createZeroed(at('file'), 100);
    const fd = await files.openForWriting(at('file'));
    const whole = fs.writeSync;
    let calls = 0;
    const short = (
      descriptor: number,
      bytes: Uint8Array,
      offset: number,
      length: number,
      position: number,
    ) => {
      calls += 1;
      return whole(descriptor, bytes, offset, Math.min(3, length), position);
    };
    try {
      fs.writeSync = short as typeof fs.writeSync;
      await write(fd, Buffer.from('0123456789'), 50);
    } finally {
      fs.writeSync = whole;
    }
    await new Promise<void>((resolve, reject) => {
      files.syncData(fd, (error) => (error === null ? resolve() : reject(error)));
    });
    await files.close(fd);
    expect(calls).toBe(4);
    const expected = Buffer.alloc(100);
    expected.set(Buffer.from('0123456789'), 50);
    expect(await files.read(at('file'))).toEqual(expected);
  });

  test('make directories for this user only, parents too, and accept those that are there', async () => {
    await files.makeDirectory(at('a/b/c'));
    await files.makeDirectory(at('a/b/c'));
    expect([modeOf('a'), modeOf('a/b'), modeOf('a/b/c')]).toEqual([0o700, 0o700, 0o700]);
    await files.writeWhole(at('a/file'), Buffer.from('x'));
    await expect(files.makeDirectory(at('a/file'))).rejects.toMatchObject({ code: 'EEXIST' });
  });

  test('remove what is there, accept what is not, and never remove a directory that holds something', async () => {
    await files.makeDirectory(at('full'));
    await files.writeWhole(at('full/file'), Buffer.from('x'));
    await expect(files.removeDirectory(at('full'))).rejects.toMatchObject({ code: 'ENOTEMPTY' });
    await files.remove(at('full/file'));
    await files.remove(at('full/file'));
    await files.removeDirectory(at('full'));
    await files.removeDirectory(at('full'));
    await expect(files.openForWriting(at('nothing'))).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await files.list(directory)).toEqual([]);
  });

  test('rename between directories', async () => {
    await files.makeDirectory(at('from'));
    await files.makeDirectory(at('to'));
    await files.writeWhole(at('from/file'), Buffer.from('x'));
    await files.rename(at('from/file'), at('to/file'));
    expect([await files.list(at('from')), await files.list(at('to'))]).toEqual([[], ['file']]);
  });
});

describe('the claim on a spool directory', () => {
  test('is refused while another process has it, names that process, and ends with it however it dies', async () => {
    const script = `
      import { nodeSpoolFiles } from ${JSON.stringify(path.resolve(import.meta.dirname, '../../sidecar/spool/files.ts'))};
      const release = nodeSpoolFiles.lock(${JSON.stringify(directory)});
      process.stdout.write('locked');
      setInterval(() => release.name, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await once(child.stdout, 'data');
      let refused: unknown;
      try {
        files.lock(directory);
      } catch (error) {
        refused = error;
      }
      expect(refused).toMatchObject({ code: 'in_use' });
      expect(String(refused)).toContain(`process ${child.pid}`);
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    files.lock(directory)();
  });

  test('is refused to a second recorder in the same process, until it is given back', () => {
    const release = files.lock(directory);
    expect(() => files.lock(directory)).toThrow('is in use by another recorder');
    release();
    files.lock(directory)();
  });
});

test('a spool on a real disk is recorded, drained and verified, and leaves only its lock', async () => {
  const store = createDirectoryStore(at('store'));
  const { append, spool } = await startProcess({ directory: at('spool'), files, store });
  const names = Array.from({ length: 100 }, (_, i) => `l${i}`);
  expect(await Promise.all(names.map((name) => append([tail(name, 500)])))).toEqual(names.map(() => null));
  expect(await spool.drain(AbortSignal.timeout(10_000))).toEqual({ uploaded: true, left: 0 });
  expect(await verifyStore(store, { expectClosed: true })).toMatchObject({ explained: true, findings: [] });
  expect(await files.list(at('spool'))).toEqual(['lock']);
});
