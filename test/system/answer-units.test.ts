/**
 * What a unit of an answer is where it does not come as one: fields of an event long before its data, JSON over several lines among JSON a line,
 * events that bear the name of the one that opens a session.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { compileMasking } from '../../sidecar/exchange/masking/compile.ts';
import { MARK, secretMasker } from '../support/secret-masker.ts';
import {
  type AnswerScene,
  call,
  chunk,
  endOf,
  get,
  head,
  JSON_TYPE,
  LAST_CHUNK,
  openAnswerScene,
  policyWith,
  serverLines,
  shown,
  SSE_TYPE,
} from './answer-scene.ts';

const BOTH = policyWith({ masking: { wire: secretMasker, record: secretMasker } });

let scene: AnswerScene;
afterEach(() => scene.close());

describe('an event', () => {
  it.each([
    ['a comment that keeps the connection alive', ': secret-1\n', '', ': secret-1\n'],
    ['the second half of a line end', 'data: {}\r\n\r', '\n', '1\r\n\n\r\n'],
  ])('is masked when its data comes after the bound has passed for %s', async (_, first, second, passed) => {
    scene = await openAnswerScene(BOTH, { hold: { maxBytes: 1 << 20, maxMs: 30 } });
    const { client, upstream } = await scene.exchange(get());
    await upstream.send(head(`${SSE_TYPE}Transfer-Encoding: chunked\r\n`));
    await upstream.send(chunk(first));
    await client.until(first.trimEnd());
    if (second !== '') await upstream.send(chunk(second));
    await client.until(passed);
    await upstream.send(chunk('data: secret-2\n\n'));
    await client.until(`data: ${MARK}\n\n`);
    await upstream.send(LAST_CHUNK);
    await client.end();
    const lines = serverLines(await scene.finish());
    expect(endOf(lines)).toMatchObject({ how: 'complete' });
    expect(shown(lines)).toBe(`${first.replace('secret-1', MARK)}${second}data: ${MARK}\n\n`);
  });

  it('is recorded with its lines as they came when nothing is found in it', async () => {
    scene = await openAnswerScene(policyWith({ masking: { record: secretMasker } }));
    const stream = 'data:{"a":\r\n: note\ndata: 1}\r\n\r\ndata:x\ndata\ndata:y\n\n';
    await scene.answer(get(), [head(SSE_TYPE), stream]);
    expect(shown(serverLines(await scene.finish()))).toBe(stream);
  });

  it('passes unmasked for its name only where a session may be opened', async () => {
    scene = await openAnswerScene(policyWith({ masking: { wire: secretMasker } }));
    const got = await scene.answer(call(), [
      head(SSE_TYPE),
      'data: {}\n\nevent: endpoint\ndata: secret-1\n\n',
    ]);
    expect(got.toString()).toContain(`event: endpoint\ndata: ${MARK}\n\n`);
  });
});

it('shows nothing of what may go on from a line that begins as JSON and is none', async () => {
  const made = compileMasking({
    base64: false,
    rules: [{ kind: 'keys', name: 'passwords', keys: ['password'], appliesTo: 'Record' }],
  });
  if (!made.ok) throw new Error(JSON.stringify(made.problems));
  scene = await openAnswerScene(policyWith({ masking: made.masking }));
  const body = '{"a":1}\n{\n"password":"hunter2"\n}\n{"b":2}\n';
  const got = await scene.answer(call(), [head(JSON_TYPE), body]);
  expect(got.toString()).toContain(body);
  const text = shown(serverLines(await scene.finish()));
  expect(text).not.toContain('hunter2');
  expect(text.replaceAll('…', '')).toBe('{"a":1}\n{"b":2}\n');
});
