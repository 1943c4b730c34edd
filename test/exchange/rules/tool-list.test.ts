import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { withoutTools } from '../../../sidecar/exchange/rules/tool-list.ts';

const isHidden = (tool: string): boolean => tool.startsWith('delete_');

function cut(text: string): string {
  const answer = withoutTools(text, isHidden);
  if (answer.unreadable) throw new Error('unreadable');
  return answer.text;
}

describe('leaves hidden tools out', () => {
  it.each([
    ['{"result":{"tools":[{"name":"delete_a"}]}}', '{"result":{"tools":[]}}'],
    ['{"result":{"tools":[{"name":"delete_a"},{"name":"b"}]}}', '{"result":{"tools":[{"name":"b"}]}}'],
    ['{"result":{"tools":[{"name":"b"},{"name":"delete_a"}]}}', '{"result":{"tools":[{"name":"b"}]}}'],
    [
      '{"id": 1.50, "result" : {"tools":\n[ {"name":"b"} , {"x":{"name":"q"},"name":"delete_a"},\t{"name":"c"} ]\n, "nextCursor":"\\u0041"}} ',
      '{"id": 1.50, "result" : {"tools":\n[ {"name":"b"},\t{"name":"c"} ]\n, "nextCursor":"\\u0041"}} ',
    ],
    ['{"result":{"tools":[ {"name":"delete_a"} , {"name":"delete_b"} ]}}', '{"result":{"tools":[  ]}}'],
    [
      '{"result":{"tools":[{"n\\u0061me":"del\\u0065te_a"},1,{"name":7},{}]}}',
      '{"result":{"tools":[1,{"name":7},{}]}}',
    ],
    ['{"r\\u0065sult":{"tool\\u0073":[{"name":"delete_a"}]}}', '{"r\\u0065sult":{"tool\\u0073":[]}}'],
    [
      '[{"result":{"tools":[{"name":"delete_a"},{"name":"b"}]}}, 7, {"result":{"tools":[{"name":"delete_c"}]}}]',
      '[{"result":{"tools":[{"name":"b"}]}}, 7, {"result":{"tools":[]}}]',
    ],
    [
      '{"result":{"tools":[{"name":"a"},{"name":"delete_1"},{"name":"delete_2"},{"name":"b"},{"name":"delete_3"}]}}',
      '{"result":{"tools":[{"name":"a"},{"name":"b"}]}}',
    ],
  ])('%s', (text, expected) => {
    expect(cut(text)).toBe(expected);
    JSON.parse(cut(text));
  });

  it('and names them in order', () => {
    const text = '{"result":{"tools":[{"name":"delete_\\u00e9"},{"name":"b"},{"name":"delete_c"}]}}';
    expect(withoutTools(text, isHidden)).toMatchObject({ hidden: ['delete_\u00e9', 'delete_c'] });
  });
});

describe('leaves everything else as it is', () => {
  it.each([
    '{"result":{"tools":[{"name":"a"}, {"name":"b"}]}}',
    '{"result":{"tools":{"name":"delete_a"}}}',
    '{"result":{"tools":"delete_a"}}',
    '{"result":[{"name":"delete_a"}]}',
    '{"tools":[{"name":"delete_a"}]}',
    '{"result":{"content":[{"tools":[{"name":"delete_a"}]}]}}',
    '{"error":{"code":1,"tools":[{"name":"delete_a"}]}}',
    '{"id":1,"method":"tools/list"}',
    '[]',
    '7',
    ' "x" ',
  ])('%s', (text) => {
    expect(withoutTools(text, isHidden)).toEqual({ unreadable: false, text, hidden: [] });
  });
});

describe('says that it is unreadable', () => {
  it.each([
    '',
    '{',
    '{"result":{"tools":[{"name":"a"},]}}',
    '{"result":{"tools":[{"name":"a"}]}} x',
    '\ufeff{"result":{"tools":[{"name":"a"}]}}',
    '{"result":{"tools":[]},"result":{"tools":[{"name":"delete_a"}]}}',
    '{"result":{"tools":[]},"Result":{"tools":[{"name":"delete_a"}]}}',
    '{"Result":{"tools":[{"name":"delete_a"}]}}',
    '{"re\u017Fult":{"tools":[{"name":"delete_a"}]}}',
    '{"result":{"tools":[],"tools":[{"name":"delete_a"}]}}',
    '{"result":{"TOOLS":[{"name":"delete_a"}]}}',
    '{"result":{"tools\\u0000":[{"name":"delete_a"}]}}',
    '{"result":{"tools":[{"name":"a","name":"delete_a"}]}}',
    '{"result":{"tools":[{"Name":"delete_a"}]}}',
    '{"result":{"tools":[{"name\\u0000x":"delete_a","name":"b"}]}}',
    '[{"id":1},{"result":{"tools":[{"name":"a","n\\u0061me":"b"}]}}]',
  ])('%j', (text) => {
    expect(withoutTools(text, isHidden)).toEqual({ unreadable: true });
  });
});

it('does to any list what filtering its values does', () => {
  const tool = fc.oneof(
    fc.record({ name: fc.constantFrom('a', 'delete_a', 'delete_b', 'b'), title: fc.string() }),
    fc.jsonValue({ maxDepth: 1 }).filter((value) => !/"(?:name|NAME)/i.test(JSON.stringify(value))),
  );
  const message = fc.oneof(
    fc.record({ id: fc.integer(), result: fc.record({ tools: fc.array(tool), nextCursor: fc.string() }) }),
    fc.record({ id: fc.integer(), result: fc.record({ content: fc.array(tool) }) }),
  );
  const indent = fc.constantFrom(undefined, 1, '\t');
  fc.assert(
    fc.property(fc.oneof(message, fc.array(message)), indent, (value, space) => {
      // Through JSON, which has no -0.
      const expected = JSON.parse(JSON.stringify(value)) as unknown;
      for (const one of (Array.isArray(expected) ? expected : [expected]) as {
        result: { tools?: unknown[] };
      }[]) {
        const isKept = (entry: unknown) => !isHidden(String((entry as { name?: string } | null)?.name));
        if (one.result.tools !== undefined) one.result.tools = one.result.tools.filter(isKept);
      }
      expect(JSON.parse(cut(JSON.stringify(value, null, space)))).toEqual(expected);
    }),
    { numRuns: 500 },
  );
});

it('asks about each tool while other texts are read', () => {
  const inner = '{"result":{"tools":[{"name":"zzzzzzzzzzzzzzzzzzzz"},{"name":"delete_zzzzzzzzzzzzz"}]}}';
  const answer = withoutTools('{"result":{"tools":[{"name":"delete_a"},{"name":"b"}]}}', (tool) => {
    withoutTools(inner, () => true);
    return isHidden(tool);
  });
  expect(answer).toEqual({
    unreadable: false,
    text: '{"result":{"tools":[{"name":"b"}]}}',
    hidden: ['delete_a'],
  });
});

it('stands any depth', () => {
  const deep = `${'['.repeat(500_000)}${']'.repeat(500_000)}`;
  expect(cut(`{"result":{"tools":[{"name":"delete_a","x":${deep}},{"name":"b"}]}}`)).toBe(
    '{"result":{"tools":[{"name":"b"}]}}',
  );
});
