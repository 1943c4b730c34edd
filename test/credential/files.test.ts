import { execFileSync } from 'node:child_process';
import fs from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createScene, type Scene } from './scene.ts';

const SECRET = 'correct-horse-battery';

let scene: Scene;
beforeEach(async () => {
  scene = await createScene();
});
afterEach(async () => {
  expect(scene.words()).not.toContain('correct-horse');
  await scene.remove();
});

const bearer = async (content: string | Uint8Array) =>
  scene.credential({ kind: 'bearer', tokenFile: await scene.write('token', content) });

describe('a credential from files', () => {
  it('sets a header of any name to what stands in the file, without the line end', async () => {
    const valueFile = await scene.write('value', `key with ${SECRET}\r\n`);
    const credential = scene.credential({ kind: 'header', name: 'X-Api-Key', valueFile });
    expect(await scene.value(credential)).toBe(`X-Api-Key: key with ${SECRET}`);
    expect(credential.problem).toBeNull();
  });

  it('is a bearer token (RFC 6750 2.1)', async () => {
    expect(await scene.value(await bearer(`${SECRET}\n`))).toBe(`Authorization: Bearer ${SECRET}`);
  });

  it('is Basic credentials in UTF-8 (RFC 7617 2.1, its example)', async () => {
    const usernameFile = await scene.write('user', 'test\n');
    const passwordFile = await scene.write('password', '123\u00a3\n');
    const credential = scene.credential({ kind: 'basic', usernameFile, passwordFile });
    expect(await scene.value(credential)).toBe('Authorization: Basic dGVzdDoxMjPCow==');
  });

  it('answers at once while the files were looked at within a second', async () => {
    const credential = await bearer(SECRET);
    await scene.value(credential);
    await scene.write('token', 'changed');
    scene.pass(999);
    expect(credential.current()).toEqual({
      ok: true,
      name: 'Authorization',
      value: `Bearer ${SECRET}`,
    });
    scene.pass(1);
    expect(await scene.value(credential)).toBe('Authorization: Bearer changed');
  });

  it('follows the symbolic link of a mounted Secret when it is exchanged', async () => {
    // As the kubelet does it: token -> ..data/token, ..data -> ..1, and ..data is renamed over.
    const place = (name: string) => path.join(scene.folder, name);
    for (const [folder, value] of [
      ['..1', 'one'],
      ['..2', 'two'],
    ] as const) {
      await fs.mkdir(place(folder));
      await fs.writeFile(place(`${folder}/token`), value);
      await fs.utimes(place(`${folder}/token`), 1, 1);
    }
    await fs.symlink('..1', place('..data'));
    await fs.symlink('..data/token', place('token'));
    const credential = scene.credential({ kind: 'bearer', tokenFile: place('token') });
    expect(await scene.value(credential)).toBe('Authorization: Bearer one');
    await fs.symlink('..2', place('..data_tmp'));
    await fs.rename(place('..data_tmp'), place('..data'));
    await fs.rm(place('..1'), { recursive: true });
    scene.pass(1_000);
    expect(await scene.value(credential)).toBe('Authorization: Bearer two');
  });

  it('is used for five seconds when its file is gone, and no longer', async () => {
    const credential = await bearer(SECRET);
    await scene.value(credential);
    await fs.rm(path.join(scene.folder, 'token'));
    scene.pass(4_999);
    expect(await scene.value(credential)).toBe(`Authorization: Bearer ${SECRET}`);
    expect(credential.problem).toMatch(/token is not there/);
    scene.pass(1_000);
    await expect(scene.value(credential)).rejects.toThrow(/token is not there; create it/);
    await scene.write('token', 'again');
    scene.pass(1_000);
    expect(await scene.value(credential)).toBe('Authorization: Bearer again');
    expect(credential.problem).toBeNull();
    // Each problem once, and its end.
    expect(scene.logs).toHaveLength(2);
  });

  it.each<[string, string | Uint8Array, RegExp]>([
    ['is empty', '\n', /^the file \S+\/token is empty; write the value into it$/],
    ['holds a line break', `${SECRET}\n\n`, /token holds a line break or another control character/],
    ['holds a NUL', `${SECRET}\0`, /control character/],
    ['holds a header of its own', `${SECRET}\r\nX-Evil: 1`, /control character/],
    ['is no UTF-8', Buffer.from([0x63, 0xff]), /is not UTF-8/],
    ['is longer than 8 KiB', SECRET.repeat(400), /is longer than 8192 bytes; it must hold one value alone/],
    ['holds the scheme too', `Bearer ${SECRET}`, /write the token alone into it, without "Bearer"/],
    ['holds what no header can', `${SECRET}\u00e4`, /not ASCII/],
  ])('says so when the file %s', async (_, content, problem) => {
    await expect(scene.value(await bearer(content))).rejects.toThrow(problem);
  });

  it('refuses a user name with a colon (RFC 7617 2)', async () => {
    const usernameFile = await scene.write('user', 'a:b');
    const passwordFile = await scene.write('password', SECRET);
    const credential = scene.credential({ kind: 'basic', usernameFile, passwordFile });
    await expect(scene.value(credential)).rejects.toThrow(/user holds a colon/);
  });

  it('refuses a value of spaces at its ends', async () => {
    const valueFile = await scene.write('value', `${SECRET} `);
    const credential = scene.credential({ kind: 'header', name: 'X-Api-Key', valueFile });
    await expect(scene.value(credential)).rejects.toThrow(/begins or ends with a space/);
  });

  it('does not wait for the other end of a pipe', async () => {
    const tokenFile = path.join(scene.folder, 'pipe');
    execFileSync('mkfifo', [tokenFile]);
    const credential = scene.credential({ kind: 'bearer', tokenFile });
    await expect(scene.value(credential)).rejects.toThrow(/pipe is no regular file/);
  });

  it('never pairs a user name of a Secret with a password of the one before', async () => {
    const place = (name: string) => path.join(scene.folder, name);
    const exchange = async (round: number) => {
      await fs.mkdir(place(`..${round}`));
      await fs.writeFile(place(`..${round}/user`), `user-${round}`);
      await fs.writeFile(place(`..${round}/password`), `password-${round}`);
      await fs.symlink(`..${round}`, place('..tmp'));
      await fs.rename(place('..tmp'), place('..data'));
    };
    await exchange(0);
    const [usernameFile, passwordFile] = [place('..data/user'), place('..data/password')];
    const credential = scene.credential({ kind: 'basic', usernameFile, passwordFile });
    const seen = new Set<string>();
    let writing = true;
    const writer = (async () => {
      for (let round = 1; round <= 300; round += 1) await exchange(round);
      writing = false;
    })();
    while (writing) {
      scene.pass(1_000);
      const value = await scene.value(credential).catch(() => '');
      if (value !== '') seen.add(Buffer.from(value.split(' ')[2] ?? '', 'base64').toString());
    }
    await writer;
    expect(seen.size).toBeGreaterThan(10);
    expect([...seen].filter((pair) => !/^user-(\d+):password-\1$/.test(pair))).toEqual([]);
  });
});
