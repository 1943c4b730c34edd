import fs from 'node:fs';
import type { Line } from '@mcp-recorder/recording/format/line';
import { encodeHead, encodeTail } from '@mcp-recorder/recording/format/encode';
import { lineJsonSchema, lineSchema } from '@mcp-recorder/recording/format/line-schema';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, expectTypeOf, it } from 'vitest';
import type { z } from 'zod';
import { anyDraft } from './any-draft.ts';
import { goldenStore } from './golden-store.ts';

const published = fs.readFileSync(new URL('../../docs/schema/line.schema.json', import.meta.url), 'utf8');
const valid = new Ajv2020({ strict: false }).compile(JSON.parse(published));
const lines = goldenStore().flatMap((segment) => segment.lines.map((line) => JSON.parse(line)));

describe('the schema of lines', () => {
  it('says what line.ts says', () => {
    expectTypeOf<z.infer<typeof lineSchema>>().toExtend<Line>();
    expectTypeOf<Line>().toExtend<z.infer<typeof lineSchema>>();
  });

  it('is published as it is', () => {
    expect(published).toBe(lineJsonSchema());
  });

  it('accepts every line of the golden store, which has every type', () => {
    expect(new Set(lines.map((line) => line.type)).size).toBe(11);
    for (const line of lines) {
      expect(lineSchema.parse(line)).toEqual(line);
      expect(valid(line), JSON.stringify(valid.errors)).toBe(true);
    }
  });

  it('accepts whatever can be encoded', () => {
    const head = encodeHead('01KAH3M8ZK4T9V2B6XN5R0WCEA')(7, '2026-11-21T08:40:00.123456Z');
    fc.assert(
      fc.property(anyDraft, (draft) => {
        const line = JSON.parse(head + encodeTail(draft));
        expect(lineSchema.parse(line)).toEqual(line);
        expect(valid(line)).toBe(true);
      }),
    );
  });

  it('tolerates columns that later versions add', () => {
    for (const line of lines) {
      const later = { ...line, later: { x: 1 } };
      expect(lineSchema.safeParse(later).success).toBe(true);
      expect(valid(later)).toBe(true);
    }
  });

  it('refuses a column of another type, and the lack of one that must be there', () => {
    const optional = new Set([
      'session',
      'protocol',
      'client_info',
      'withheld',
      'masked',
      'ambiguous',
      'calls',
    ]);
    for (const line of lines) {
      for (const name of Object.keys(line)) {
        const retyped = { ...line, [name]: [1] };
        expect(lineSchema.safeParse(retyped).success, `${line.type}.${name}`).toBe(false);
        expect(valid(retyped), `${line.type}.${name}`).toBe(false);
        if (optional.has(name)) continue;
        const { [name]: _, ...without } = line;
        expect(lineSchema.safeParse(without).success, `${line.type} without ${name}`).toBe(false);
        expect(valid(without), `${line.type} without ${name}`).toBe(false);
      }
    }
  });
});
