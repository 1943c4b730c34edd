/**
 * Owns that links within the documentation lead somewhere: to a file, and to a heading of it where they name one.
 */
import fs from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = path.join(import.meta.dirname, '../..');
const pages = (await Array.fromAsync(fs.glob('docs/**/*.md', { cwd: ROOT }))).toSorted();

/** The page without its code, where brackets are no links and hashes no headings. */
async function textOf(page: string): Promise<string> {
  const text = await fs.readFile(path.join(ROOT, page), 'utf8');
  return text
    .replaceAll(/^```[^]*?^```/gm, '')
    .replaceAll(/`[^`\n]*`/g, (code) => code.replaceAll(/[[\]]/g, ''));
}

/** The anchors of a page's headings, as code hosts make them. */
async function anchorsOf(page: string): Promise<string[]> {
  const headings = (await textOf(page)).matchAll(/^#{1,6} +(.+)$/gm);
  return [...headings].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

async function leadsSomewhere(page: string, target: string): Promise<boolean> {
  const [file = '', anchor] = target.split('#');
  const found = file === '' ? page : path.join(path.dirname(page), decodeURI(file));
  const exists = await fs.access(path.join(ROOT, found)).then(
    () => true,
    () => false,
  );
  if (!exists || anchor === undefined || !found.endsWith('.md')) return exists;
  return (await anchorsOf(found)).includes(anchor);
}

describe('every relative link', () => {
  it.each(['README.md', 'CHANGELOG.md', ...pages])('of %s leads somewhere', async (page) => {
    const links = [...(await textOf(page)).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
    const relative = links.filter((target) => !/^[a-z]+:/.test(target));
    const broken = [];
    for (const target of relative) {
      if (!(await leadsSomewhere(page, target))) broken.push(target);
    }
    expect(broken).toEqual([]);
  });
});
