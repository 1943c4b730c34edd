/**
 * Owns exchanges as an HTTP Archive (HAR 1.2), which browsers and debugging proxies open.
 * Invariant: what was not recorded is not made up: headers without a recorded value are left out, sizes that are not known are -1.
 */
import type { RecordedHeader } from '@mcp-recorder/recording/format/line';
import type { BodyView, ExchangeView } from '@mcp-recorder/recording/read/exchange-view';
import packageFile from '../package.json' with { type: 'json' };
import { describePrincipal } from '../exchange-text.ts';
import type { Selection } from '../selection.ts';

export async function* exportHar({ about, exchanges }: Selection): AsyncIterable<string> {
  const creator = JSON.stringify({ name: 'mcp-recorder', version: packageFile.version });
  const gaps = about.gaps.map(({ gap }) => gap);
  const comment = JSON.stringify(JSON.stringify({ store: about.store, asked: about.asked, gaps }));
  yield `{"log":{"version":"1.2","creator":${creator},"comment":${comment},"entries":[`;
  let isFirst = true;
  for await (const { view } of exchanges()) {
    yield `${isFirst ? '' : ','}\n${JSON.stringify(entryOf(view))}`;
    isFirst = false;
  }
  yield '\n]}}\n';
}

function entryOf(view: ExchangeView): object {
  const { time, http, ended, bodies, headers, principal, exchange, session } = view;
  const durationMs = (ended?.duration_us ?? 0) / 1_000;
  const url = urlOf(view);
  const asked = bodies.find(({ kind }) => kind === 'request');
  const who = principal === null ? 'unknown' : describePrincipal(principal);
  return {
    startedDateTime: `${time.slice(0, 23)}Z`,
    time: durationMs,
    request: {
      method: http.method ?? '',
      url: url.href,
      httpVersion: 'HTTP/1.1',
      cookies: [],
      headers: harHeaders(headers.request),
      queryString: [...url.searchParams].map(([name, value]) => ({ name, value })),
      headersSize: -1,
      bodySize: ended?.bytes_in ?? -1,
      ...(asked === undefined
        ? {}
        : {
            postData: {
              mimeType: mimeTypeOf(headers.request),
              params: [],
              text: asked.text ?? '',
              ...(asked.text === null ? { comment: notText(asked) } : {}),
            },
          }),
    },
    response: {
      status: http.status ?? 0,
      statusText: '',
      httpVersion: 'HTTP/1.1',
      cookies: [],
      headers: harHeaders(headers.response),
      content: contentOf(view),
      redirectURL: '',
      headersSize: -1,
      bodySize: ended?.bytes_out ?? -1,
    },
    cache: {},
    timings: { send: 0, wait: durationMs, receive: 0 },
    comment: JSON.stringify({ exchange, session: session?.id ?? null, who, complete: view.complete }),
  };
}

/** Where the request went, as far as an archive can say it: `http://SERVER.NAMESPACE/mcp`. */
function urlOf({ place, http }: ExchangeView): URL {
  const target = http.target?.startsWith('/') === true ? http.target : '/';
  const named = `http://${place.server}.${place.namespace}${target}`;
  // A name that is none of a host, such as one that ends in a number.
  return new URL(URL.canParse(named) ? named : `http://recorded.invalid${target}`);
}

function contentOf({ bodies, headers }: ExchangeView): object {
  const mimeType = mimeTypeOf(headers.response);
  const events = bodies.filter(({ kind }) => kind === 'event');
  const body = bodies.find(({ kind }) => kind === 'response');
  if (events.length > 0) {
    const text = events.map(({ text: data }) => `${eventLines(data ?? '')}\n\n`).join('');
    return { size: Buffer.byteLength(text), mimeType, text };
  }
  if (body === undefined) return { size: 0, mimeType, text: '' };
  if (body.bytes === null) return { size: body.withheld?.bytes ?? 0, mimeType, comment: notText(body) };
  return body.text === null
    ? { size: body.bytes.length, mimeType, text: body.bytes.toString('base64'), encoding: 'base64' }
    : { size: body.bytes.length, mimeType, text: body.text };
}

function eventLines(data: string): string {
  return data
    .split('\n')
    .map((line) => `data: ${line}`)
    .join('\n');
}

function notText({ withheld, bytes }: BodyView): string {
  return withheld === null ? `${bytes?.length ?? 0} bytes that are no text` : `withheld: ${withheld.reason}`;
}

function harHeaders(headers: readonly RecordedHeader[]): { name: string; value: string }[] {
  return headers.flatMap(({ name, value }) => (value === null ? [] : [{ name, value }]));
}

function mimeTypeOf(headers: readonly RecordedHeader[]): string {
  return headers.find(({ name }) => name === 'content-type')?.value ?? '';
}
