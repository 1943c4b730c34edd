/**
 * Secrets of every detector in every place of an answer, through a whole recorder with all detectors on: none stands in a line, and with masking
 * on the wire none reaches the client.
 */
import zlib from 'node:zlib';
import { afterEach, expect, it } from 'vitest';
import { compileMasking } from '../../sidecar/exchange/masking/compile.ts';
import type { MaskingTarget } from '../../sidecar/config/access.ts';
import type { Masking } from '../../sidecar/exchange/masking/masking.ts';
import { plantedSecrets } from '../support/secrets.ts';
import {
  type AnswerScene,
  call,
  get,
  JSON_TYPE,
  openAnswerScene,
  policyWith,
  sized,
  SSE_TYPE,
} from './answer-scene.ts';

const SECRETS = 300;

let scene: AnswerScene;
afterEach(() => scene.close());

function allDetectors(on: MaskingTarget): Masking {
  const compiled = compileMasking({
    base64: false,
    rules: [{ kind: 'detectors', detectors: ['all'], appliesTo: on }],
  });
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.problems));
  return compiled.masking;
}

/** Every character as a JSON escape. */
const escaped = (text: string): string =>
  [...Array(text.length).keys()]
    .map((at) => `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`)
    .join('');

type Place = (text: string, cut: number) => { request: string; head: string; parts: Buffer[] };

const halves = (bytes: Buffer, cut: number): Buffer[] => {
  const at = 1 + (cut % Math.max(1, bytes.length - 1));
  return [bytes.subarray(0, at), bytes.subarray(at)];
};
const result = (text: string): string =>
  `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":${text}}]}}`;
const json = (text: string, cut: number, headers = '', code = (bytes: Buffer) => bytes) => {
  const bytes = code(Buffer.from(text));
  return { request: call(), head: sized(JSON_TYPE, bytes, headers), parts: halves(bytes, cut) };
};
const stream = (text: string, cut: number) => {
  const bytes = Buffer.from(text);
  return { request: get(), head: sized(SSE_TYPE, bytes), parts: halves(bytes, cut) };
};

const PLACES: Record<string, Place> = {
  result: (text, cut) => json(result(JSON.stringify(text)), cut),
  'escaped result': (text, cut) => json(result(`"${escaped(text)}"`), cut),
  'gzipped result': (text, cut) =>
    json(result(JSON.stringify(text)), cut, 'Content-Encoding: gzip\r\n', (bytes) => zlib.gzipSync(bytes)),
  'zstd result': (text, cut) =>
    json(result(JSON.stringify(text)), cut, 'Content-Encoding: zstd\r\n', (bytes) =>
      zlib.zstdCompressSync(bytes),
    ),
  'error message': (text, cut) =>
    json(`{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":${JSON.stringify(text)}}}`, cut),
  'tool description': (text, cut) =>
    json(
      `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a","description":${JSON.stringify(text)}}]}}`,
      cut,
    ),
  'request state': (text, cut) =>
    json(
      `{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","requestState":${JSON.stringify(text)}}}`,
      cut,
    ),
  event: (text, cut) => stream(`id: 1\ndata: ${result(JSON.stringify(text))}\n\n`, cut),
  'a target of a call of the server': (text, cut) =>
    stream(
      `data: {"jsonrpc":"2.0","id":"s","method":"resources/read","params":{"uri":${JSON.stringify(text)}}}\n\n`,
      cut,
    ),
};

it.each(['Record', 'Both'] as const)(
  'planted secrets with masking on: %s',
  async (on) => {
    scene = await openAnswerScene(policyWith({ masking: allDetectors(on) }));
    const places = Object.entries(PLACES);
    const planted = plantedSecrets(on === 'Record' ? 11 : 12, SECRETS);
    for (const [index, { text, secret, detector }] of planted.entries()) {
      const [name, place] = places[index % places.length] as [string, Place];
      const { request, head, parts } = place(text, index * 7);
      const got = await scene.answer(request, [head, ...parts]);
      const wire = got.subarray(got.indexOf('\r\n\r\n') + 4);
      if (on === 'Record') expect(wire.equals(Buffer.concat(parts)), `${detector} in ${name}`).toBe(true);
      else expect(seen(wire.toString(), secret), `${detector} in ${name}`).toBe(false);
    }
    const lines = (await scene.finish()).map((line) => JSON.stringify(line)).join('\n');
    const missed = planted.filter(({ secret }) => seen(lines, secret));
    expect(missed.map(({ detector }) => detector)).toEqual([]);
    expect(lines).toContain('[masked:');
  },
  240_000,
);

/** In plain, as JSON text, as JSON text within a line, or with every character escaped. */
function seen(text: string, secret: string): boolean {
  const quoted = JSON.stringify(secret).slice(1, -1);
  return [secret, quoted, JSON.stringify(quoted).slice(1, -1), escaped(secret)].some((form) =>
    text.includes(form),
  );
}
