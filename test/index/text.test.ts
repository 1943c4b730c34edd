/** What the words of a body are, and that nothing that a person types is more than words. */
import { NoWords, queryOfText, textOfBody } from '@mcp-recorder/recording/index/text';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toolCall } from '../recording/drafts.ts';
import { createStreamBuilder } from '../recording/stream-builder.ts';
import { createScene, rowsOf, type Scene, START_MS, STREAM, targetsOf } from './scene.ts';

let scene: Scene;
beforeEach(async () => {
  scene = await createScene();
});
afterEach(() => scene.close());

const result = (value: unknown) => JSON.stringify({ jsonrpc: '2.0', id: 1, result: value });

async function record(
  ...bodies: { tool: string; requestBody?: string; responseBody?: string }[]
): Promise<void> {
  const builder = createStreamBuilder({ stream: STREAM, startMs: START_MS });
  const drafts = bodies.flatMap((body) => toolCall({ exchange: scene.newId(), ...body }));
  await scene.put(builder.segment(drafts));
}

describe('the words of a body', () => {
  it.each([
    ['names and values of JSON', '{"städte":["Bern",4711,true,null]}', 'städte Bern 4711 true null'],
    [
      'JSON in a string of JSON',
      result({ text: '{"note":"first\\nlast"}' }),
      'jsonrpc 2.0 id 1 result text note first last',
    ],
    ['plain text as it stands', 'C:\\new\\table \\u0041', 'C:\\new\\table \\u0041'],
    ['plain text in JSON as it stands', '{"path":"C:\\\\new"}', 'path C:\\new'],
    ['what only looks like JSON', '[see "a\\nb"', '[see "a b"'],
  ])('are %s', (_what, body, words) => {
    expect(textOfBody(body, false).split(/\s+/).join(' ')).toBe(words);
  });

  it('are found in a piece of JSON as in the whole, but for words that are cut', () => {
    const body = result({ content: [{ text: '{"note":"caf\\u00e9\\n\\"Zürich\\""}' }] });
    const piece = body.slice(20, -3);
    expect(textOfBody(piece, true)).toMatch(/note.*café\s+.*Zürich/s);
  });

  it('are those of the first 256 Ki characters', () => {
    expect(textOfBody('word '.repeat(100_000), false)).toHaveLength(256 * 1024);
  });
});

describe('a search for text', () => {
  it('wants all words in one body', async () => {
    await record(
      { tool: 'both', responseBody: result({ text: 'the old invoice' }) },
      { tool: 'apart', requestBody: '{"params":{"q":"old"}}', responseBody: result('invoice') },
    );
    const reader = scene.open();
    expect(await targetsOf(reader, { text: 'invoice old' })).toEqual(['both']);
    expect(await targetsOf(reader, { text: '"old invoice"' })).toEqual(['both']);
    expect(await targetsOf(reader, { text: '"invoice old"' })).toEqual([]);
    expect(await targetsOf(reader, { text: 'inv*' })).toEqual(['both', 'apart']);
    expect(await targetsOf(reader, { text: 'inv' })).toEqual([]);
  });

  it('takes operators, quotes and NUL for what they are', async () => {
    await record(
      { tool: 'one', responseBody: result('alpha beta') },
      { tool: 'two', responseBody: result('alpha') },
    );
    const reader = scene.open();
    for (const text of [
      'alpha NOT beta',
      'alpha OR gamma',
      'NEAR(alpha beta)',
      'text:alpha',
      'alpha AND beta',
    ]) {
      expect(await targetsOf(reader, { text })).toEqual([]);
    }
    for (const text of ['"alpha', 'alpha)', '^alpha', '-alpha', "alpha'", 'alpha\0', '{alpha}', '"" alpha']) {
      expect(await targetsOf(reader, { text })).toEqual(['one', 'two']);
    }
  });

  it('says when there is no word in it', async () => {
    await record({ tool: 'one' });
    const reader = scene.open();
    for (const text of ['', '""', '* *', '🤖', '"-"', '\0']) {
      await expect(rowsOf(reader, { text })).rejects.toThrow(NoWords);
    }
  });

  it('fails for no text that has a word in it', async () => {
    await record({ tool: 'one', responseBody: result('alpha') });
    const reader = scene.open();
    await rowsOf(reader, { text: 'alpha' });
    const hostile = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({
        unit: fc.constantFrom('"', '*', 'a', 'ß', ' ', '(', ')', 'AND ', 'OR ', 'NOT ', '\0', '\ud800', ':'),
      }),
    );
    await fc.assert(
      fc.asyncProperty(hostile, async (text) => {
        try {
          queryOfText(text);
        } catch {
          return;
        }
        await rowsOf(reader, { text });
      }),
      { numRuns: 500, seed: 3 },
    );
    expect(await targetsOf(reader, { text: 'alpha '.repeat(5_000) })).toEqual(['one']);
  });
});
