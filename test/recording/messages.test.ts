import { describe, expect, it } from 'vitest';
import {
  type BodyPiece,
  eventData,
  findMessage,
  joinText,
  type Message,
  messagesIn,
} from '@mcp-recorder/recording/read/messages';

function joinBody(pieces: readonly BodyPiece[], kind: 'body' | 'event'): Message[] {
  const { text } = joinText(pieces);
  if (text === null) return [];
  return messagesIn(kind === 'event' ? eventData(text) : text);
}
const utf8 = (body: string) => ({ body, body_encoding: 'utf8' }) as const;
const base64 = (bytes: Buffer) => ({ body: bytes.toString('base64'), body_encoding: 'base64' }) as const;

describe('a recorded body', () => {
  it('is joined from its pieces, a character cut between two of them included', () => {
    const bytes = Buffer.from('{"id":1,"result":"ü"}');
    const cut = bytes.indexOf('ü') + 1;
    expect(joinBody([base64(bytes.subarray(0, cut)), base64(bytes.subarray(cut))], 'body')).toEqual([
      { id: 1, result: 'ü' },
    ]);
  });

  it('may hold a batch, or a document on each line', () => {
    expect(joinBody([utf8('[{"id":1},{"id":2},3]')], 'body')).toEqual([{ id: 1 }, { id: 2 }]);
    expect(joinBody([utf8('{"id":1}\n{"id":2}\n')], 'body')).toEqual([{ id: 1 }, { id: 2 }]);
  });

  it.each(['', 'not json', '7', 'null', '{"params":[1]}'])('without messages gives none: %j', (body) => {
    expect(joinBody([utf8(body)], 'body')).toEqual([]);
    expect(joinBody([{ body: null, body_encoding: null }], 'body')).toEqual([]);
  });

  it.each(['\n', '\r\n', '\r'])('of an event has its data lines joined, ended by %j', (end) => {
    expect(joinBody([utf8(`{"id":1,${end}data: "result":${end}data:2}`)], 'event')).toEqual([
      { id: 1, result: 2 },
    ]);
  });
});

describe('the message of a call', () => {
  const request = { id: 7, method: 'ping' };
  const answer = { id: 7, result: {} };
  const named = { id: '7', result: {} };

  it('is found by the JSON text of its id', () => {
    expect(findMessage([named, answer], '7', null)).toBe(answer);
    expect(findMessage([answer, named], '"7"', null)).toBe(named);
    expect(findMessage([answer], '7.0', null)).toBe(answer);
    expect(findMessage([answer], 'no json', null)).toBeNull();
  });

  it('is not mistaken for the request of the other side with the same id', () => {
    expect(findMessage([request, answer], '7', null)).toBe(answer);
    expect(findMessage([answer, request], '7', 'ping')).toBe(request);
    expect(findMessage([request], '7', 'other')).toBeNull();
  });

  it('of a notification is found by its method', () => {
    const notification = { method: 'notifications/initialized' };
    expect(findMessage([request, notification], null, 'notifications/initialized')).toBe(notification);
  });
});
