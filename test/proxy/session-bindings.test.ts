import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Caller } from '../../sidecar/exchange/caller.ts';
import { createSessionNamer } from '../../sidecar/exchange/session.ts';
import { openSessionBindings, type SessionBindings } from '../../sidecar/session-bindings.ts';
import { nodeSpoolFiles, type SpoolFiles } from '../../sidecar/spool/files.ts';
import { callerNamed } from '../support/policy.ts';

const { hash } = createSessionNamer({ key: Buffer.alloc(32, 1), nowMs: Date.now });
const [ada, bob] = [callerNamed('ada'), callerNamed('bob')];
const nobody: Caller = { ...callerNamed('x'), verified: false };

let directory: string;
let problems: string[];

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'bindings-'));
  problems = [];
});
afterEach(() => rm(directory, { recursive: true, force: true }));

function open(files: SpoolFiles = nodeSpoolFiles, atLeast = 4): Promise<SessionBindings> {
  const onProblem = (message: string) => void problems.push(message);
  return openSessionBindings({ directory, files, hash, onProblem, atLeast });
}

describe('the bindings of sessions', () => {
  it('hold over restarts, with what was ended and opened again', async () => {
    const first = await open();
    first.opened(hash('1'), ada);
    first.opened(hash('2'), ada);
    expect(first.admits(hash('3'), bob)).toBe(true);
    first.ended(hash('2'));
    await first.close();
    const second = await open();
    expect([second.admits(hash('1'), bob), second.admits(hash('1'), ada)]).toEqual([false, true]);
    expect(second.admits(hash('3'), ada)).toBe(false);
    expect(second.admits(hash('2'), bob)).toBe(true);
    second.opened(hash('1'), bob);
    await second.close();
    const third = await open();
    expect([third.admits(hash('1'), bob), third.admits(hash('1'), ada)]).toEqual([true, false]);
    await third.close();
    expect(problems).toEqual([]);
  });

  it('stay of bounded size on disk, and are whole after each rewrite', async () => {
    const bindings = await open();
    for (let n = 0; n < 500; n++) {
      bindings.opened(hash(`s-${n}`), n % 2 === 0 ? ada : bob);
      if (n % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await bindings.close();
    expect((await readFile(path.join(directory, 'session-bindings'))).length).toBe(4 * 4 * 2 * 68);
    const again = await open();
    expect([again.admits(hash('s-499'), bob), again.admits(hash('s-499'), ada)]).toEqual([true, false]);
    await again.close();
  });

  it('hold hashes only', async () => {
    const bindings = await open();
    bindings.opened(hash('the-session'), ada);
    await bindings.close();
    const text = await readFile(path.join(directory, 'session-bindings'), 'latin1');
    expect(text).not.toMatch(/the-session|ada|idp/);
  });

  it('let callers without a verified identity pass, and bind nothing to them', async () => {
    const bindings = await open();
    expect(bindings.admits(hash('1'), nobody)).toBe(true);
    bindings.opened(hash('1'), nobody);
    expect(bindings.admits(hash('1'), ada)).toBe(true);
    expect(bindings.admits(hash('1'), nobody)).toBe(true);
    expect(bindings.admits(hash('1'), bob)).toBe(false);
    await bindings.close();
  });

  it('go on in memory while the disk fails, and are all in the file when it works again', async () => {
    let failing = true;
    const files: SpoolFiles = {
      ...nodeSpoolFiles,
      async writeWhole(file, bytes) {
        if (failing) throw new Error('EIO');
        await nodeSpoolFiles.writeWhole(file, bytes);
      },
    };
    const bindings = await open(files);
    bindings.opened(hash('1'), ada);
    while (problems.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(bindings.admits(hash('1'), bob)).toBe(false);
    failing = false;
    bindings.opened(hash('2'), ada);
    await bindings.close();
    const again = await open();
    expect([again.admits(hash('1'), bob), again.admits(hash('2'), bob)]).toEqual([false, false]);
    await again.close();
  });

  it('begin anew on a file that makes no sense', async () => {
    await writeFile(path.join(directory, 'session-bindings'), 'nonsense');
    const bindings = await open();
    bindings.opened(hash('1'), ada);
    await bindings.close();
    expect((await open()).admits(hash('1'), bob)).toBe(false);
  });
});
