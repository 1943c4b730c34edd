import type { LineDraft } from '@mcp-recorder/recording/format/line';
import type { ExchangeLine, ReadExchange } from '@mcp-recorder/recording/read/exchange-reader';
import { viewOf } from '@mcp-recorder/recording/read/exchange-view';
import { describe, expect, it } from 'vitest';
import { CALL, exchangeOf, type ExchangeFacts } from '../cli/recorded.ts';

type Change = (drafts: LineDraft[]) => LineDraft[];

function view(facts: Partial<ExchangeFacts>, change: Change = (drafts) => drafts, complete = true) {
  const lines = change(exchangeOf({ exchange: CALL, answer: 'done', ...facts })).map(
    (draft, seq) =>
      ({ v: 1, stream: 'S', seq, time: `2026-11-21T08:40:00.00000${seq}Z`, ...draft }) as ExchangeLine,
  );
  const place = { cluster: 'c', namespace: 'n', server: 's', stream: 'S' };
  const segment = { place } as ReadExchange['segment'];
  return viewOf({ exchange: CALL, stream: 'S', segment, lines, raw: [], resultsElsewhere: [], complete });
}

const onRequest =
  (change: (draft: Extract<LineDraft, { type: 'request' }>) => LineDraft[]): Change =>
  (drafts) =>
    drafts.flatMap((draft) => (draft.type === 'request' ? change(draft) : [draft]));

describe('the view of an exchange', () => {
  it('has each call with what was asked, what came back, and how it ended', () => {
    const { steps, complete, place } = view({ params: { arguments: { a: 1 } } });
    expect(place).toEqual({ cluster: 'c', namespace: 'n', server: 's' });
    expect(complete).toBe(true);
    expect(steps).toMatchObject([
      {
        call: { method: 'tools/call', target: 'echo' },
        result: { outcome: 'ok' },
        asked: { params: { arguments: { a: 1 } } },
        answer: { result: { content: [{ text: 'done' }] } },
      },
    ]);
  });

  it('joins the pieces of events, and finds the calls of the server in them', () => {
    const { steps, bodies } = view({ events: true });
    expect(steps.map(({ call, answer }) => [call.sender, call.method, answer !== null])).toEqual([
      ['client', 'tools/call', true],
      ['server', 'sampling/createMessage', false],
    ]);
    expect(bodies.filter(({ kind }) => kind === 'event').map(({ messages }) => messages.length)).toEqual([
      0, 1, 1,
    ]);
  });

  it('joins chunks, also where a character is cut between two of them', () => {
    const text = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"é"}}';
    const bytes = Buffer.from(text);
    const cut = bytes.indexOf(0xc3) + 1;
    const { bodies, steps } = view(
      {},
      onRequest((draft) => [
        { ...draft, body: bytes.subarray(0, cut).toString('base64'), body_encoding: 'base64' },
        {
          type: 'chunk',
          exchange: CALL,
          part: 1,
          sender: 'client',
          body_offset: cut,
          body: bytes.subarray(cut).toString('base64'),
          body_encoding: 'base64',
          wire_bytes: bytes.length - cut,
        },
      ]),
    );
    expect(bodies[0]).toMatchObject({ sender: 'client', text });
    expect(steps[0]?.asked?.params).toEqual({ name: 'é' });
  });

  it('finds each call of a batch by its id, of which 7 is not "7"', () => {
    const batch =
      '[{"id":"7","method":"tools/call","params":{"n":1}},{"id":7,"method":"tools/call","params":{"n":2}}]';
    const { steps } = view(
      {},
      onRequest((draft) => [{ ...draft, body: batch }]),
    );
    expect(steps[0]?.asked?.params).toEqual({ n: 2 });
  });

  it('names what is withheld, sums what was masked, and says that the end is missing', () => {
    const { bodies, masked, steps, complete, ended } = view(
      {},
      (drafts) =>
        drafts.slice(0, 2).map((draft) =>
          draft.type === 'request'
            ? {
                ...draft,
                body: null,
                body_encoding: null,
                withheld: { reason: 'masking_bound', bytes: 9 } as const,
                masked: [{ rule: 'card', count: 2 }],
              }
            : { ...draft, masked: [{ rule: 'card', count: 1 }] },
        ),
      false,
    );
    expect(bodies[0]).toMatchObject({
      bytes: null,
      text: null,
      withheld: { reason: 'masking_bound', bytes: 9 },
    });
    expect(masked).toEqual([{ rule: 'card', count: 3 }]);
    expect(steps[0]).toMatchObject({ asked: null, result: null });
    expect({ complete, ended }).toEqual({ complete: false, ended: null });
  });
});
