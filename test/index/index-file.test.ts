/** Whatever happens to the file of the index, a reader answers what the store holds. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openIndexFile } from '@mcp-recorder/recording/index/index-file';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toolCall } from '../recording/drafts.ts';
import { type BuiltSegment, createStreamBuilder } from '../recording/stream-builder.ts';
import { createScene, type Scene, START_MS, STREAM, targetsOf } from './scene.ts';

let scene: Scene;
let segments: BuiltSegment[];
const TOOLS = ['alpha', 'beta', 'gamma'];
beforeEach(async () => {
  scene = await createScene();
  const builder = createStreamBuilder({ stream: STREAM, startMs: START_MS });
  segments = TOOLS.map((tool) => builder.segment(toolCall({ exchange: scene.newId(), tool })));
  await scene.put(...segments);
});
afterEach(() => scene.close());

/** Fills the index and leaves it. */
async function filled(): Promise<string> {
  const reader = scene.open();
  expect(await targetsOf(reader, { text: 'tools' })).toEqual(TOOLS);
  reader.close();
  scene.segmentsRead();
  return scene.indexFile;
}

function change(file: string, sql: string): void {
  const database = new DatabaseSync(file);
  database.exec(sql);
  database.close();
}

describe('the file of the index', () => {
  it('is read by nobody else', async () => {
    const file = await filled();
    expect((await fs.stat(file)).mode & 0o777).toBe(0o600);
    expect((await fs.stat(path.dirname(file))).mode & 0o777).toBe(0o700);
    const reader = scene.open();
    for (const name of await fs.readdir(path.dirname(file))) {
      expect((await fs.stat(path.join(path.dirname(file), name))).mode & 0o077).toBe(0);
    }
    reader.close();
  });

  it('is taken from others who could read it', async () => {
    const file = await filled();
    await fs.chmod(file, 0o644);
    scene.open();
    expect((await fs.stat(file)).mode & 0o777).toBe(0o600);
  });

  it('remembers what was read', async () => {
    await filled();
    expect(await targetsOf(scene.open())).toEqual(TOOLS);
    expect(scene.segmentsRead()).toBe(0);
  });

  it.each([
    ['deleted', (file: string) => fs.rm(file)],
    ['empty', (file: string) => fs.truncate(file)],
    ['no database', (file: string) => fs.writeFile(file, 'hello '.repeat(5_000))],
    ['cut off', (file: string) => fs.truncate(file, 20_000)],
    ['of another version', (file: string) => change(file, 'UPDATE about SET version = version - 1')],
    ['of another store', (file: string) => change(file, "UPDATE about SET store = 's3://elsewhere'")],
    [
      'one that says nothing of itself',
      (file: string) => change(file, 'DROP TABLE about; CREATE TABLE about (x)'),
    ],
  ])('is made anew when it is %s', async (_what, spoil) => {
    await spoil(await filled());
    const reader = scene.open();
    expect(await targetsOf(reader)).toEqual(TOOLS);
    expect(scene.segmentsRead()).toBe(3);
    expect(await targetsOf(reader)).toEqual(TOOLS);
    expect(scene.segmentsRead()).toBe(0);
  });

  it('is made anew when it is found damaged only while it is used', async () => {
    const file = await filled();
    const database = new DatabaseSync(file);
    const { rootpage } = {
      ...database.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'about'").get(),
    };
    const { page_size: size } = { ...database.prepare('PRAGMA page_size').get() };
    database.close();
    const bytes = await fs.readFile(file);
    for (let page = 2; page * Number(size) <= bytes.length; page += 1) {
      if (page !== rootpage) bytes.fill(0x5a, (page - 1) * Number(size), page * Number(size));
    }
    await fs.writeFile(file, bytes);
    expect(await targetsOf(scene.open())).toEqual(TOOLS);
    scene.segmentsRead();
    expect(await targetsOf(scene.open())).toEqual(TOOLS);
    expect(scene.segmentsRead()).toBe(0);
  });

  it('is emptied when it has become too large', async () => {
    const file = await filled();
    openIndexFile(file, scene.store.location, 10 * 2 ** 20).close();
    expect(await targetsOf(scene.open())).toEqual(TOOLS);
    expect(scene.segmentsRead()).toBe(0);
    openIndexFile(file, scene.store.location, 10_000).close();
    expect(await targetsOf(scene.open())).toEqual(TOOLS);
    expect(scene.segmentsRead()).toBe(3);
  });

  it('serves several readers at once, that fill it together', async () => {
    const readers = [scene.open(), scene.open(), scene.open()];
    const found = await Promise.all(readers.map((reader) => targetsOf(reader, { text: 'jsonrpc' })));
    expect(found).toEqual([TOOLS, TOOLS, TOOLS]);
  });

  it('may be made anew by another reader meanwhile', async () => {
    const first = scene.open();
    expect(await targetsOf(first)).toEqual(TOOLS);
    change(scene.indexFile, 'UPDATE about SET version = 0');
    const second = scene.open();
    expect(await targetsOf(second, { tools: ['beta'] })).toEqual(['beta']);
    expect(await targetsOf(first)).toEqual(TOOLS);
    expect(await targetsOf(second)).toEqual(TOOLS);
  });

  it('may be deleted while it is used', async () => {
    const reader = scene.open();
    expect(await targetsOf(reader)).toEqual(TOOLS);
    await fs.rm(path.dirname(scene.indexFile), { recursive: true });
    expect(await targetsOf(reader)).toEqual(TOOLS);
    expect(await targetsOf(scene.open())).toEqual(TOOLS);
  });

  it('is not needed', async () => {
    const reader = scene.open({ indexFile: null });
    expect(await targetsOf(reader)).toEqual(TOOLS);
    expect(await fs.readdir(scene.directory)).toEqual(['recording']);
  });
});
