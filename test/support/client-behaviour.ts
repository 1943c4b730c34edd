/**
 * Owns what a client of the official SDK must experience at the fixture server, in both eras. The same sentences are
 * tested against the server itself and through the recorder: what the conformance suites do not notice (a dropped
 * `Last-Event-ID`, event ids, a disconnect that is not passed on) breaks one of them.
 */
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from './poll.ts';

export interface Endpoint {
  /** Where the client connects. */
  url: string;
  close(): Promise<unknown>;
}

type Era = 'legacy' | '2026-07-28';

async function connect(url: string, era: Era) {
  const client = new Client(
    { name: 'client-behaviour', version: '1.0.0' },
    {
      capabilities: { elicitation: {}, sampling: {}, roots: {} },
      versionNegotiation: { mode: era === 'legacy' ? 'legacy' : { pin: era } },
    },
  );
  client.setRequestHandler('elicitation/create', () => ({
    action: 'accept',
    content: { name: 'Ada', color: 'green', response: 'yes' },
  }));
  client.setRequestHandler('roots/list', () => ({ roots: [{ uri: 'file:///home/ada' }] }));
  const transport = new StreamableHTTPClientTransport(new URL(url));
  await client.connect(transport);
  const call = async (name: string, given: Record<string, unknown> = {}, options = {}) => {
    const { content } = await client.callTool({ name, arguments: given }, options);
    const [first] = content;
    return first?.type === 'text' ? first.text : null;
  };
  return { client, transport, call };
}

/** Describes the behaviour at the endpoint that `start` opens. */
export function describeClientBehaviour(name: string, start: () => Promise<Endpoint>): void {
  describe(name, () => {
    let endpoint: Endpoint;
    beforeAll(async () => {
      endpoint = await start();
    }, 40_000);
    afterAll(() => endpoint?.close());

    test('both eras are served on one URL at the same time', async () => {
      const [old, modern] = await Promise.all([
        connect(endpoint.url, 'legacy'),
        connect(endpoint.url, '2026-07-28'),
      ]);
      expect(old.client.getNegotiatedProtocolVersion()).toBe('2025-11-25');
      expect(modern.client.getNegotiatedProtocolVersion()).toBe('2026-07-28');
      const answers = await Promise.all([old.call('test_simple_text'), modern.call('test_simple_text')]);
      expect(new Set(answers)).toEqual(new Set(['This is a simple text response for testing.']));
      await Promise.all([old.client.close(), modern.client.close()]);
    });

    test.each<Era>(['legacy', '2026-07-28'])('progress arrives before the result (%s)', async (era) => {
      const { client, call } = await connect(endpoint.url, era);
      const progress: number[] = [];
      const onprogress = (step: { progress: number }) => progress.push(step.progress);
      await call('test_tool_with_progress', {}, { onprogress });
      expect(progress).toEqual([0, 50, 100]);
      await client.close();
    });

    test.each<Era>(['legacy', '2026-07-28'])(
      'a cancelled call is cancelled at the server (%s)',
      async (era) => {
        const { client, call } = await connect(endpoint.url, era);
        const caller = `${name} ${era} ${performance.now()}`;
        const giveUp = new AbortController();
        const waiting = call('wait_for_cancellation', { name: caller }, { signal: giveUp.signal });
        const failed = expect(waiting).rejects.toThrow();
        const state = () => call('state_of_waiting_call', { name: caller });
        await eventually(async () => (await state()) === 'waiting', { withinMs: 5_000 });
        giveUp.abort();
        await failed;
        await eventually(async () => (await state()) === 'cancelled', { withinMs: 2_000 });
        await client.close();
      },
    );

    test('the server asks the user in the middle of a call, and gets the answer in another (legacy)', async () => {
      const { client, call } = await connect(endpoint.url, 'legacy');
      expect(await call('test_elicitation', { message: 'Well?' })).toContain('action=accept');
      await client.close();
    });

    test('a call goes on over several round trips (2026-07-28)', async () => {
      const { client, call } = await connect(endpoint.url, '2026-07-28');
      expect(await call('test_input_required_result_multi_round')).toBe('color green');
      expect(await call('test_input_required_result_list_roots')).toBe('file:///home/ada');
      await client.close();
    });

    test('an answer is fetched by resumption when the server closed the stream (legacy)', async () => {
      const { client, call } = await connect(endpoint.url, 'legacy');
      expect(await call('test_reconnection')).toContain('reached you by resumption');
      await client.close();
    });

    test('the server announces a change without being asked (legacy)', async () => {
      const { client, call } = await connect(endpoint.url, 'legacy');
      let announced = 0;
      client.setNotificationHandler('notifications/tools/list_changed', () => void (announced += 1));
      // The GET stream opens in the background after `connect`: announce until one arrives.
      await eventually(async () => (await call('test_trigger_tool_change')) !== null && announced > 0, {
        withinMs: 5_000,
      });
      await client.close();
    });

    test('a subscription stream carries announcements (2026-07-28)', async () => {
      const { client, call } = await connect(endpoint.url, '2026-07-28');
      let announced = 0;
      client.setNotificationHandler('notifications/prompts/list_changed', () => void (announced += 1));
      const subscription = await client.listen({ promptsListChanged: true });
      await call('test_trigger_prompt_change');
      await eventually(() => announced === 1, { withinMs: 5_000 });
      await subscription.close();
      await client.close();
    });

    test('a push stream opens at once, and again after its client vanished (legacy)', async () => {
      const body = JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'initialize',
        // Before 2025-11-25 no priming event opens the stream: it is silent, and its headers come all the same.
        params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'b', version: '1' } },
      });
      const accept = 'application/json, text/event-stream';
      const post = { accept, 'content-type': 'application/json' };
      const opened = await fetch(endpoint.url, { method: 'POST', headers: post, body });
      await opened.text();
      const headers = { accept, 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' };
      const vanish = new AbortController();
      const first = await fetch(endpoint.url, { headers, signal: vanish.signal });
      expect(first.status).toBe(200);
      expect((await fetch(endpoint.url, { headers })).status).toBe(409);
      vanish.abort();
      const again = new AbortController();
      const status = async () => (await fetch(endpoint.url, { headers, signal: again.signal })).status;
      await eventually(async () => (await status()) === 200, { withinMs: 2_000 });
      again.abort();
    }, 10_000);

    test('a session that was deleted is gone (legacy)', async () => {
      const { client, transport } = await connect(endpoint.url, 'legacy');
      const headers = {
        accept: 'application/json, text/event-stream',
        'content-type': 'application/json',
        'mcp-session-id': transport.sessionId ?? '',
      };
      const ping = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' });
      const status = async () => (await fetch(endpoint.url, { method: 'POST', headers, body: ping })).status;
      expect(await status()).toBe(200);
      await transport.terminateSession();
      expect(await status()).toBe(404);
      await client.close();
    });
  });
}
