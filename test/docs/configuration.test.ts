import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { canaryKey } from '@mcp-recorder/recording/format/keys';
import { s3Failure } from '@mcp-recorder/recording/store/s3-failure';
import { describe, expect, it } from 'vitest';
import { loadConfiguration } from '../../sidecar/config/load.ts';
import { configurationJsonSchema } from '../../sidecar/config/problems.ts';

const page = await fs.readFile(path.join(import.meta.dirname, '../../docs/configuration.md'), 'utf8');

interface Node {
  properties?: Record<string, Node>;
  items?: Node;
  default?: unknown;
}

function leaves(node: Node, at: string[] = []): { key: string; byDefault: unknown }[] {
  if (node.items?.properties !== undefined) {
    return leaves(node.items, [...at.slice(0, -1), `${at.at(-1)}[]`]);
  }
  if (node.properties === undefined) return [{ key: at.join('.'), byDefault: node.default }];
  return Object.entries(node.properties).flatMap(([key, inner]) => leaves(inner, [...at, key]));
}

describe('docs/configuration.md', () => {
  it('lists every key with its default, and no other', () => {
    const rows = page.matchAll(/^\| `([^`]+)` \| (?:`--[\w-]+`)? ?\| ?(.*?) ?\| /gm);
    const listed = [...rows].map(([, key, byDefault]) => ({ key, byDefault }));
    const real = leaves(configurationJsonSchema());
    expect(listed.map(({ key }) => key).sort()).toEqual(real.map(({ key }) => key).sort());
    for (const { key, byDefault } of real.filter((leaf) => leaf.byDefault !== undefined)) {
      const text = typeof byDefault === 'string' ? byDefault : JSON.stringify(byDefault);
      expect(listed.find((row) => row.key === key)).toEqual({ key, byDefault: `\`${text}\`` });
    }
  });

  it('shows a whole file that the recorder accepts', async () => {
    const yaml = /```yaml\n([^]*?)```/.exec(page)?.[1] ?? '';
    const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-docs-'));
    try {
      const file = path.join(directory, 'recorder.yaml');
      await fs.writeFile(file, yaml);
      const shown = loadConfiguration({ file });
      const least = loadConfiguration({
        flags: { upstream: shown.server.url, store: '/x', anonymous: true },
      });
      // What the example repeats are the defaults.
      const { listen, drain, limits, log, status } = least;
      expect(shown).toMatchObject({ listen, drain, limits, log, status });
      expect(
        leaves(configurationJsonSchema()).filter(({ key }) => !yaml.includes(`${key.split('.').at(-1)}:`)),
      ).toEqual([]);
    } finally {
      await fs.rm(directory, { recursive: true });
    }
  });
});

describe('its example of /status', () => {
  it('says of a store that is down what the recorder says of one', () => {
    const { gate } = JSON.parse(/```json\n([^]*?)```/.exec(page)?.[1] ?? '');
    const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:9000'), { code: 'ECONNREFUSED' });
    const { code, message, hint } = s3Failure('put', canaryKey(), refused);
    expect(gate).toMatchObject({ reason: `store_${code}`, message, hint });
  });
});

describe('docs/schema/configuration.schema.json', () => {
  it('is what the schema in the code generates', async () => {
    const file = path.join(import.meta.dirname, '../../docs/schema/configuration.schema.json');
    expect(JSON.parse(await fs.readFile(file, 'utf8'))).toEqual(configurationJsonSchema());
  });
});
