/**
 * Owns the load: wrk, one thread, closed loop, kept connections. wrk and an nginx that answers from memory cost less CPU an
 * exchange than a generator and a back end on raw `node:net` (11.3 against 13.4 us), so core 1 carries more than nginx on core 0 can pass.
 * Invariant: an answer that is not 2xx or 3xx, or a broken connection, counts as an error and is never silent.
 */
import fs from 'node:fs';
import { runPinned } from './processes.ts';
import { type Exchange, wireRequest } from './traffic.ts';

export interface Load {
  requests: number;
  errors: number;
  durationUs: number;
  /** Latency. wrk adds the samples that a stall kept it from sending. */
  p50Us: number;
  p99Us: number;
  bytes: number;
}

/** Writes the script that sends all exchanges in turn; `authority` is the Host of the requests, `headers` come on top. */
export function writeScript(
  file: string,
  exchanges: readonly Exchange[],
  authority: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const requests = exchanges
    .map((exchange) => JSON.stringify(wireRequest(exchange, authority, headers)))
    .join(',\n');
  fs.writeFileSync(
    file,
    `local requests = {
${requests}
}
local count, at = #requests, 0
function request()
  at = at % count + 1
  return requests[at]
end
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\\n{"requests":%d,"errors":%d,"durationUs":%d,"p50Us":%d,"p99Us":%d,"bytes":%d}\\n',
    summary.requests, errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    summary.duration, latency:percentile(50), latency:percentile(99), summary.bytes))
end
`,
  );
}

/** Sends requests from `connections` callers, each as soon as its last is answered, for `seconds`. */
export async function runLoad(
  core: number,
  options: { script: string; port: number; connections: number; seconds: number },
): Promise<Load> {
  const output = await runPinned(core, [
    'wrk',
    '-t1',
    `-c${options.connections}`,
    `-d${options.seconds}s`,
    '--timeout',
    '10s',
    '-s',
    options.script,
    `http://127.0.0.1:${options.port}/mcp`,
  ]);
  const line = output.split('\n').find((one) => one.startsWith('{'));
  if (line === undefined) throw new Error(`wrk gave no summary: ${output}`);
  return JSON.parse(line) as Load;
}
