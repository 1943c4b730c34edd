/**
 * Owns the traffic of the benchmark: tools/call requests of 412 bytes and JSON answers of 980 bytes.
 * Invariant: deterministic, so that two runs compare; every id differs from all that can be in flight with it, and the
 * text varies over more than a compressor's window, so that recording it costs what recording real calls costs.
 */

export const REQUEST_BYTES = 412;
export const RESPONSE_BYTES = 980;
/** Different exchanges: so many that none is still under way when its id comes again. */
export const EXCHANGES = 2_048;
const SESSIONS = 16;
const FIRST_ID = 100_000;

export interface Exchange {
  /** JSON-RPC id; also sent as `X-Request-Id`, by which the back end finds the answer without parsing the body. */
  id: number;
  session: string;
  /** JSON text of exactly REQUEST_BYTES bytes. */
  request: string;
  /** JSON text of exactly RESPONSE_BYTES bytes. */
  response: string;
}

const WORDS =
  'order invoice customer shipment refund account balance region north south pending settled overdue contract renewal ticket escalated resolved priority owner quarter revenue forecast margin supplier warehouse pallet delayed confirmed cancelled archived draft review approved rejected policy audit'.split(
    ' ',
  );

/** All exchanges of a run, the same in every run. */
export function exchanges(): Exchange[] {
  const random = createRandom(42);
  return Array.from({ length: EXCHANGES }, (_, index) => {
    const id = FIRST_ID + index;
    const session = `bench-${(index % SESSIONS).toString().padStart(2, '0')}-${'4f9c2d7ab1e8'.repeat(2)}`;
    const request = fill(REQUEST_BYTES, random, (text) =>
      JSON.stringify({
        jsonrpc: '2.0',
        id,
        method: 'tools/call',
        params: {
          name: 'search_orders',
          arguments: { customer: number(random), limit: 20, sort: 'updated_at', query: text },
        },
      }),
    );
    const response = fill(RESPONSE_BYTES, random, (text) =>
      JSON.stringify({
        jsonrpc: '2.0',
        id,
        result: {
          content: [{ type: 'text', text: `{"total":${number(random)},"summary":"${text}"}` }],
          isError: false,
        },
      }),
    );
    return { id, session, request, response };
  });
}

/** The request of one exchange as bytes on the wire to `authority`, head (with `headers` on top) and body. */
export function wireRequest(
  exchange: Exchange,
  authority: string,
  headers: Readonly<Record<string, string>> = {},
): string {
  return [
    'POST /mcp HTTP/1.1',
    `Host: ${authority}`,
    'Content-Type: application/json',
    'Accept: application/json, text/event-stream',
    'User-Agent: mcp-bench/1.0',
    'Mcp-Protocol-Version: 2025-11-25',
    `Mcp-Session-Id: ${exchange.session}`,
    `X-Request-Id: ${exchange.id}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    `Content-Length: ${REQUEST_BYTES}`,
    '',
    exchange.request,
  ].join('\r\n');
}

/** Words until `build` gives exactly `bytes` bytes (ASCII throughout). The random sequence is the same at each try. */
function fill(bytes: number, random: Random, build: (text: string) => string): string {
  const state = random.state;
  const rest = bytes - build('').length;
  let text = '';
  while (text.length < rest) text += `${WORDS[random.next() % WORDS.length]} `;
  const after = random.state;
  random.state = state;
  const built = build(text.slice(0, rest));
  random.state = after;
  if (built.length !== bytes)
    throw new Error(`The benchmark built ${built.length} bytes instead of ${bytes}`);
  return built;
}

/** Always seven digits, so that lengths do not depend on the value. */
function number(random: Random): number {
  return 1_000_000 + (random.next() % 9_000_000);
}

interface Random {
  state: number;
  next(): number;
}

/** A linear congruential generator (the constants of Numerical Recipes): plenty for filler text. */
function createRandom(seed: number): Random {
  return {
    state: seed,
    next() {
      this.state = (Math.imul(this.state, 1_664_525) + 1_013_904_223) >>> 0;
      return this.state >>> 8;
    },
  };
}
