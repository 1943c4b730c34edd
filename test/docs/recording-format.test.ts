import fs from 'node:fs';
import { lineSchema } from '@mcp-recorder/recording/format/line-schema';
import { describe, expect, it } from 'vitest';
import { goldenStore } from '../recording/golden-store.ts';

const text = fs.readFileSync(new URL('../../docs/recording-format.md', import.meta.url), 'utf8');
const lines = goldenStore().flatMap((segment) => segment.lines);

describe('the specification of the format', () => {
  it('shows lines as they are', () => {
    const examples = [...text.matchAll(/```json\n([\s\S]*?)```/g)].flatMap((block) =>
      (block[1] ?? '').trim().split('\n'),
    );
    expect(examples.length).toBe(3);
    for (const example of examples) expect(lines).toContain(example);
  });

  it('names every column of every type of line, and every value that a column may have', () => {
    const names = new Set<string>();
    const visit = (schema: unknown): void => {
      if (typeof schema !== 'object' || schema === null) return;
      for (const [key, value] of Object.entries(schema)) {
        if (key === 'properties') for (const name of Object.keys(value as object)) names.add(name);
        if (key === 'enum')
          for (const name of value as unknown[]) if (typeof name === 'string') names.add(name);
        visit(value);
      }
    };
    visit(
      JSON.parse(fs.readFileSync(new URL('../../docs/schema/line.schema.json', import.meta.url), 'utf8')),
    );
    expect(names.size).toBeGreaterThan(100);
    const missing = [...names].filter((name) => !text.includes(`\`${name}\``));
    expect(missing).toEqual([]);
  });

  it('describes every type', () => {
    for (const option of lineSchema.options) expect(text).toContain(`| \`${option.shape.type.value}\` |`);
  });
});
