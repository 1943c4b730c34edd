/**
 * The pages about Kubernetes against what they speak of: conditions, fields of the resource, values of the chart, tests.
 */
import fs from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { CONDITION_TYPES, REASONS } from '../../operator/desired/reasons.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const read = (file: string) => fs.readFile(path.join(ROOT, file), 'utf8');
const PAGES = ['docs/operations.md', 'docs/threat-model.md', 'docs/api.md', 'helm/mcp-recorder/README.md'];

interface Shape {
  properties?: Record<string, Shape>;
  additionalProperties?: Shape;
  items?: Shape;
}

/** Every path in a schema, with names of maps left out and items of lists under the list's own name. */
function pathsOf(shape: Shape, at: string): string[] {
  const inner = Object.entries(shape.properties ?? {}).flatMap(([name, value]) => [
    `${at}${name}`,
    ...pathsOf(value, `${at}${name}.`),
  ]);
  return shape.items === undefined ? inner : [...inner, ...pathsOf(shape.items, at)];
}

/** What a page has in backquotes, without what stands in blocks. */
async function quotedIn(page: string): Promise<string[]> {
  const prose = (await read(page)).replaceAll(/^```[^]*?^```/gm, '');
  return [...prose.matchAll(/`([^`\n]+)`/g)].map(([, quoted = '']) => quoted);
}

describe.each(PAGES)('%s', (page) => {
  it('names only fields that the resource has', async () => {
    const { spec } = parse(await read('crds/recordedmcpservers.yaml'));
    const known = new Set(pathsOf(spec.versions[0].schema.openAPIV3Schema, ''));
    const named = (await quotedIn(page)).flatMap((quoted) =>
      [...quoted.matchAll(/^(?:spec|status)(?:\.\w+(?:\[\])?)+/g)].map(([field]) =>
        field.replaceAll('[]', ''),
      ),
    );
    expect(named.filter((field) => !known.has(field))).toEqual([]);
    if (page !== 'helm/mcp-recorder/README.md') expect(named.length).toBeGreaterThan(2);
  });

  it('names only values that the chart has', async () => {
    const schema = JSON.parse(await read('helm/mcp-recorder/values.schema.json'));
    const known = new Set(pathsOf(schema, ''));
    const tops = Object.keys(schema.properties).join('|');
    const named = (await quotedIn(page)).flatMap((quoted) => {
      const value = new RegExp(`^(?:${tops})(?:\\.\\w+)+`).exec(quoted)?.[0];
      return value === undefined ? [] : [value];
    });
    expect(named.filter((value) => !known.has(value) && !/^stores\.default\b/.test(value))).toEqual([]);
  });

  it('names only tests that exist', async () => {
    const named = (await quotedIn(page)).filter((quoted) => quoted.startsWith('test/'));
    for (const file of named) await fs.access(path.join(ROOT, file));
  });
});

it('no remedy of a reason leads to a page that is not there', async () => {
  const named = Object.values(REASONS).flatMap(({ remedy }) => remedy.match(/docs\/[\w-]+\.md/g) ?? []);
  expect(named.length).toBeGreaterThan(0);
  for (const file of named) await fs.access(path.join(ROOT, file));
});

it('docs/api.md explains every condition', async () => {
  const section = (await read('docs/api.md')).split('## Conditions')[1] ?? '';
  const rows = [...section.matchAll(/^\| `(\w+)` \|/gm)].map(([, type]) => type);
  expect(rows).toEqual([...CONDITION_TYPES]);
});
