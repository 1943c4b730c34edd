import type { Line, LineDraft, ResultLine } from '@mcp-recorder/recording/format/line';
import { viewOf } from '@mcp-recorder/recording/read/exchange-view';
import { describe, expect, it } from 'vitest';
import { describeExchange } from '../../cli/exchange-text.ts';
import { ANONYMOUS } from '../recording/stream-builder.ts';
import { CALL, exchangeOf, type ExchangeFacts } from './recorded.ts';

const heads = (drafts: readonly LineDraft[]) =>
  drafts.map(
    (draft, seq) => ({ v: 1, stream: 'S', seq, time: '2026-11-21T08:40:00.000000Z', ...draft }) as const,
  );

function tell(lines: readonly Line[], resultsElsewhere: ResultLine[] = []): string {
  const exchangeLines = lines.filter((line) => 'exchange' in line);
  const key = 'v1/segments/x';
  const place = { cluster: 'local', namespace: 'local', server: 'github', date: '', second: '', stream: 'S' };
  const read = {
    exchange: CALL,
    stream: 'S',
    segment: { key, place: { ...place, segment: 0, copy: 0 }, size: 0, version: null, changed: false },
    lines: exchangeLines,
    raw: [],
    resultsElsewhere,
    complete: true,
  };
  return describeExchange(viewOf(read)).join('\n');
}

function textOf(
  facts: Partial<ExchangeFacts>,
  change: (drafts: LineDraft[]) => LineDraft[] = (drafts) => drafts,
): string {
  const drafts = change(exchangeOf({ exchange: CALL, answer: 'done', ...facts }));
  return tell(heads(drafts));
}

describe('an exchange in words', () => {
  it('says that nobody is known', () => {
    expect(textOf({ principal: ANONYMOUS })).toContain('Who       anonymous\n');
  });

  it('shows an answer that is no text as what it is', () => {
    const content = [
      { type: 'text', text: 'two\nlines' },
      { type: 'image', mimeType: 'image/png', data: 'iVBORw0KGgo=' },
      { type: 'resource_link', uri: 'test://a' },
    ];
    const text = textOf({ answer: { result: { content } } });
    expect(text).toContain(
      'answer  two\n          lines\n          [image image/png, 12 characters of base64]\n',
    );
    expect(text).toContain('"uri": "test://a"');
    expect(textOf({ answer: { result: { tools: [] } } })).toContain('answer  {\n            "tools": []\n');
  });

  it('cuts what is long and says so', () => {
    const text = textOf({ answer: 'x'.repeat(20_000) });
    expect(text).toContain('... (cut here; 20000 characters in all)');
    expect(text.length).toBeLessThan(18_000);
    expect(textOf({ answer: 'y\n'.repeat(300) })).toContain('... (cut here; 600 characters in all)');
  });

  it('shows what there is of an exchange whose beginning and end are not recorded', () => {
    const text = textOf({}, (drafts) => drafts.slice(1, -1));
    expect(text).toContain('not ended');
    expect(text).toContain('the request is not in the recording');
    expect(text).toContain('request unknown -> 200; not ended');
  });

  it('says who answered when it was the recorder, and that a body is no JSON-RPC', () => {
    const text = textOf({}, (drafts) =>
      drafts.map((draft) =>
        draft.type === 'response' ? { ...draft, answered_by: 'recorder', body: '<html>' } : draft,
      ),
    );
    expect(text).toContain('-> 200 by the recorder');
    expect(text).toContain('answer  not readable as JSON-RPC');
  });

  it('names the exchange in which the answer came', () => {
    const result = exchangeOf({ exchange: CALL, answer: 'a' }).find((draft) => draft.type === 'result');
    if (result?.type !== 'result') throw new Error('no result');
    const lines = heads(
      exchangeOf({ exchange: CALL, answer: 'a' }).filter(({ type }) => type === 'request' || type === 'end'),
    );
    const [elsewhere] = heads([{ ...result, exchange: 'LATER' }]);
    if (elsewhere?.type !== 'result') throw new Error('no result');
    expect(tell(lines, [elsewhere])).toContain('answer  arrived in exchange LATER');
    expect(tell(lines, [{ ...elsewhere, exchange: null, outcome: 'unknown', cause: 'timeout' }])).toMatch(
      /-> unknown \(timeout\), 52\.2 ms[^]*answer {2}none arrived/,
    );
  });

  it('survives nesting that no parser likes', () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    const text = textOf({}, (drafts) =>
      drafts.map((draft) =>
        draft.type === 'response' ? { ...draft, body: `{"jsonrpc":"2.0","id":7,"result":${deep}}` } : draft,
      ),
    );
    expect(text).toMatch(/answer {2}(\[\[|\(nested too deeply|not readable)/);
  });
});
