/**
 * Owns the published JSON of an exchange with its calls, as `show --json` and `export` give it (docs/cli.md).
 * Invariant: names are those of the recording's columns; members may be added, none is renamed or removed.
 */
import type { ExchangeView } from '@mcp-recorder/recording/read/exchange-view';

/** One line of JSON, without its line feed. Messages that are nested too deeply to be written are left to the text of their bodies. */
export function exchangeLine(view: ExchangeView): string {
  try {
    return JSON.stringify(exchangeJson(view));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const steps = view.steps.map((step) => ({ ...step, asked: null, answer: null }));
    return JSON.stringify(exchangeJson({ ...view, steps }));
  }
}

function exchangeJson(view: ExchangeView): object {
  const { exchange, stream, place, time, principal, session, protocol, client, http, ended, complete } = view;
  return {
    v: 1,
    type: 'exchange',
    exchange,
    stream,
    ...place,
    time,
    principal,
    session,
    protocol,
    client_info: client,
    http,
    headers: view.headers,
    answered_by: view.answeredBy,
    ended,
    complete,
    calls: view.steps.map(({ time: at, call, result, asked, answer }) => ({
      time: at,
      call,
      result:
        result === null
          ? null
          : {
              exchange: result.exchange,
              time: result.time,
              outcome: result.outcome,
              cause: result.cause,
              error_code: result.error_code,
              duration_us: result.duration_us,
            },
      asked,
      answer,
    })),
    bodies: view.bodies.map(({ sender, kind, time: at, text, bytes, withheld }) => ({
      sender,
      kind,
      time: at,
      text,
      base64: text === null && bytes !== null ? bytes.toString('base64') : null,
      withheld,
    })),
    masked: view.masked,
    wire_masked: view.wireMasked,
    hidden: view.hidden,
    ambiguous: view.ambiguous,
  };
}
