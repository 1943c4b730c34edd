/** Rows are whole, wherever their lines stand: in other segments, in other streams, before or after the time that was asked for. */
import type { Call, LineDraft, ResultLine } from '@mcp-recorder/recording/format/line';
import { createUlidFactory } from '@mcp-recorder/recording/format/ulid';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toolCall } from '../recording/drafts.ts';
import { ANONYMOUS, createStreamBuilder, type StreamBuilder } from '../recording/stream-builder.ts';
import { createScene, OTHER_STREAM, rowsOf, type Scene, START_MS, STREAM, targetsOf } from './scene.ts';

const MINUTE = 60_000;
const ADA = { ...ANONYMOUS, how: 'oidc' as const, name: 'ada@example.com', groups: ['dev'] };
const BOB = { ...ADA, name: 'bob@example.com' };
const SESSION = { id: 'h:11', how: 'mcp-session-id' } as const;
const GUESSED = { id: 'h:00', how: 'address' } as const;

let scene: Scene;
let builder: StreamBuilder;
beforeEach(async () => {
  scene = await createScene();
  builder = createStreamBuilder({ stream: STREAM, startMs: START_MS });
});
afterEach(() => scene.close());

async function put(...drafts: LineDraft[]): Promise<void> {
  await scene.put(builder.segment(drafts));
}

const after = (minutes: number) => ({
  since: new Date(START_MS + minutes * MINUTE).toISOString().replace('Z', '000Z'),
  until: null,
});

/** A server's request in the running exchange. */
function serverCall(exchange: string, part: number, target: string): LineDraft {
  const call: Call = {
    operation: `${exchange}.${part}`,
    kind: 'request',
    sender: 'server',
    rpc_id: '1',
    method: 'sampling/createMessage',
    target,
    decision: { action: 'allow', rule: null },
    continues: null,
  };
  const sse = { prefix: 'data: ', suffix: '\n\n', id: null, data_lines: 1, partial: false };
  return {
    type: 'event',
    exchange,
    part,
    sse,
    body: '{}',
    body_encoding: 'utf8',
    wire_bytes: 2,
    calls: [call],
  };
}

describe('a row', () => {
  it('has the caller and session of a request hours before the time that is asked for', async () => {
    const id = scene.newId();
    const [request] = toolCall({ exchange: id, tool: 'long', principal: ADA, session: SESSION });
    await put(request);
    for (let hour = 1; hour <= 6; hour += 1) {
      builder.wait(60 * MINUTE);
      await put(serverCall(id, hour, `question-${hour}`));
    }
    for (const order of ['newest', 'oldest'] as const) {
      const reader = scene.open({ indexFile: null });
      const found = await rowsOf(reader, { users: ['ada*'], between: after(330) }, { order, limit: 5 });
      expect(found).toMatchObject([
        { call: { target: 'question-6' }, principal: ADA, session: SESSION, http: { method: 'POST' } },
      ]);
      // Of what came before only the beginning was read.
      expect(scene.segmentsRead()).toBeLessThanOrEqual(4);
      expect(await rowsOf(reader, { users: ['bob*'], between: after(330) })).toEqual([]);
      expect(await targetsOf(reader, { sessions: ['h:11'], between: after(330) })).toEqual(['question-6']);
    }
  });

  it('has a result that came minutes later, after the time that is asked for', async () => {
    const id = scene.newId();
    const [request, response, result, end] = toolCall({ exchange: id, tool: 'slow', session: SESSION });
    await put(request);
    builder.wait(9 * MINUTE);
    await put(response, result, end);
    const between = { since: null, until: after(1).since };
    for (const order of ['newest', 'oldest'] as const) {
      expect(await rowsOf(scene.open({ indexFile: null }), { between }, { order, limit: 1 })).toMatchObject([
        { call: { target: 'slow' }, result: { outcome: 'ok' }, http: { status: 200 } },
      ]);
    }
    // It is no row of its own in the time when it came.
    expect(await rowsOf(scene.open({ indexFile: null }), { between: after(5) })).toEqual([]);
  });

  it('is unknown as long as there is no result, and the same row when it has come', async () => {
    const id = scene.newId();
    const [request, response, result, end] = toolCall({ exchange: id, tool: 'slow' });
    await put(request);
    const reader = scene.open();
    expect(await rowsOf(reader)).toMatchObject([{ outcome: 'unknown', cause: 'no_result', result: null }]);
    expect(await targetsOf(reader, { outcomes: ['ok'] })).toEqual([]);
    await put(response, result, end);
    expect(await rowsOf(reader)).toMatchObject([{ outcome: 'ok', cause: null, result: { outcome: 'ok' } }]);
    expect(await targetsOf(reader, { outcomes: ['unknown'] })).toEqual([]);
  });

  it('stands for a result whose call went through another pod', async () => {
    const [, , result] = toolCall({ exchange: scene.newId(), tool: 'far', principal: BOB, session: SESSION });
    const lonely = { ...result, operation: null, call_exchange: null, outcome: 'error' } as Omit<
      ResultLine,
      'v'
    >;
    await scene.put(
      createStreamBuilder({ stream: OTHER_STREAM, startMs: START_MS }).segment([lonely as LineDraft]),
    );
    const reader = scene.open();
    const [row] = await rowsOf(reader, {
      tools: ['far'],
      users: ['bob*'],
      sessions: ['h:1'],
      outcomes: ['error'],
    });
    expect(row).toMatchObject({
      kind: 'request',
      call: null,
      exchange: null,
      session: SESSION,
      stream: OTHER_STREAM,
    });
    expect(row?.result).toMatchObject(lonely);
  });

  it('has the best-known session of any line of its exchange, whatever was read first', async () => {
    const id = scene.newId();
    const [request, response, result, end] = toolCall({
      exchange: id,
      tool: 'first',
      session: GUESSED,
      answeredSession: SESSION,
    });
    await put(request);
    const reader = scene.open();
    expect(await rowsOf(reader)).toMatchObject([{ session: GUESSED }]);
    await put(response, { ...result, session: SESSION } as LineDraft, end);
    expect(await rowsOf(reader)).toMatchObject([{ session: SESSION }]);
    expect(await rowsOf(reader, { sessions: ['h:00'] })).toEqual([]);
  });
});

describe('the exchanges of a search', () => {
  it('come each once, in the order in which they began, with all their lines', async () => {
    const newId = createUlidFactory(() => START_MS);
    const ids = [newId(), newId(), newId()] as const;
    const made = ids.map((exchange, n) =>
      toolCall({ exchange, tool: `tool-${n}`, principal: n === 1 ? BOB : ADA }),
    );
    await put(...made.map(([request]) => request));
    builder.wait(2 * MINUTE);
    await put(...made.toReversed().flatMap(([, ...rest]) => rest));
    const reader = scene.open();
    const filter = { users: ['ada*'], groups: ['dev'] };
    const everything = { between: { since: null, until: null }, tools: [], methods: [], servers: [] };
    const names = await Array.fromAsync(
      reader.exchanges({ ...everything, namespaces: [], sessions: [], outcomes: [], text: null, ...filter }),
    );
    expect(names).toEqual([ids[0], ids[2]].map((exchange) => ({ exchange, stream: STREAM })));
    const read = await Array.fromAsync(reader.readExchanges(names, { raw: true }));
    expect(
      read.map(({ exchange, lines, raw, complete }) => [exchange, lines.length, raw.length, complete]),
    ).toEqual([
      [ids[0], 4, 4, true],
      [ids[2], 4, 4, true],
    ]);
    // One that the index does not know is looked for.
    const cold = scene.open({ indexFile: null });
    expect((await Array.fromAsync(cold.readExchanges(names))).map(({ exchange }) => exchange)).toEqual([
      ids[0],
      ids[2],
    ]);
    const absent = { exchange: newId(), stream: STREAM };
    expect(await Array.fromAsync(cold.readExchanges([absent]))).toEqual([]);
  });
});

describe('gaps', () => {
  it('come by time and place', async () => {
    const gap = (minute: number): LineDraft => ({
      type: 'gap',
      gap: {
        cause: 'fail_open',
        first_time: after(minute).since,
        last_time: after(minute).since,
        exchanges: 1,
        exact: true,
      },
    });
    await put(gap(0));
    builder.wait(10 * MINUTE);
    await put(gap(10));
    const reader = scene.open();
    const asked = { servers: [], namespaces: [], between: { since: null, until: null } };
    const found = await reader.gaps(asked);
    expect(found.map((one) => one.gap.first_time)).toEqual([after(0).since, after(10).since]);
    expect(found[0]?.place).toEqual({ cluster: 'local', namespace: 'local', server: 'github' });
    expect(await reader.gaps({ ...asked, between: after(5) })).toHaveLength(1);
    expect(await reader.gaps({ ...asked, servers: ['jira'] })).toEqual([]);
  });
});
