/**
 * Owns `npm run bench:bounds`: the memory of the recorder under load that never ends. Resident memory of 5,000 idle event
 * streams, what vanished clients leave, and how far 1 GiB of answer makes the process grow.
 * Invariant: a figure is what the kernel says of the process (VmRSS, VmHWM), nothing is collected by force before.
 * An argument names another candidate to compare with. Exit code 1 when a bound is missed, 2 when the run failed.
 */
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CANDIDATES, startCandidate } from './candidates.ts';
import { startPinned, stopAll, stopOnSignals, untilQuiet } from './processes.ts';

const PROXY_CORE = 0;
const LOAD_CORE = 1;
const STREAMS = 5_000;
const WARM_UP_STREAMS = 100;
const MAX_STREAM_BYTES = 60 * 1_000;
const OPEN_MS = 60_000;
const VANISH_MS = 1_000;
const DOWNLOAD_BYTES = 2 ** 30;
const MAX_GROWTH_BYTES = 100 * 1_000_000;
const OUTPUT = fileURLToPath(new URL('../.bench/', import.meta.url));

interface Result {
  name: string;
  value: string;
  bound: string;
  met: boolean;
}

const name = CANDIDATES.find((candidate) => candidate === (process.argv[2] ?? 'recorder'));
const directory = path.join(OUTPUT, `bounds-${process.pid}`);
stopOnSignals(directory);
try {
  if (name === undefined || name === 'direct' || name === 'nginx') {
    throw new Error(
      `${process.argv[2]} is not measured: recorder, recorder-off and fastify are one process each`,
    );
  }
  fs.mkdirSync(directory, { recursive: true });
  const backEnd = startPinned(LOAD_CORE, node('raw-back-end'));
  const upstreamPort = Number(await backEnd.ready);
  const { pid, port } = await startCandidate(name, { core: PROXY_CORE, directory, upstreamPort });
  if (pid === null) throw new Error(`${name} has no process to measure`);
  const results = [
    ...(await measureStreams(pid, port, upstreamPort)),
    await measureDownload(pid, port, upstreamPort),
  ];
  for (const { name: what, value, bound, met } of results) {
    process.stdout.write(`${met ? 'met   ' : 'MISSED'} ${what}: ${value}, bound ${bound}\n`);
  }
  process.exitCode = results.every(({ met }) => met) ? 0 : 1;
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
} finally {
  await stopAll();
  fs.rmSync(directory, { recursive: true, force: true });
}

async function measureStreams(pid: number, port: number, upstreamPort: number): Promise<Result[]> {
  await hold(port, WARM_UP_STREAMS, pid, upstreamPort);
  const before = memory(pid, 'VmRSS');
  const { heldBytes, vanishedMs } = await hold(port, STREAMS, pid, upstreamPort);
  const perStream = (heldBytes - before) / STREAMS;
  return [
    {
      name: `resident memory of each of ${STREAMS} idle event streams`,
      value: `${(perStream / 1_000).toFixed(1)} kB (${megabytes(before)} before, ${megabytes(heldBytes)} with them)`,
      bound: `<= ${MAX_STREAM_BYTES / 1_000} kB`,
      met: perStream <= MAX_STREAM_BYTES,
    },
    {
      name: `until the server had lost every stream after ${STREAMS} clients vanished`,
      value: vanishedMs === null ? 'never (30 s)' : `${vanishedMs.toFixed(0)} ms`,
      bound: `<= ${VANISH_MS} ms`,
      met: vanishedMs !== null && vanishedMs <= VANISH_MS,
    },
  ];
}

/** Opens streams through the proxy, lets it come to rest, then kills the process that holds them. */
async function hold(
  port: number,
  streams: number,
  pid: number,
  upstreamPort: number,
): Promise<{ heldBytes: number; vanishedMs: number | null }> {
  const holder = startPinned(LOAD_CORE, [...node('stream-holder'), String(port), String(streams)]);
  await Promise.race([
    holder.ready,
    setTimeout(OPEN_MS, null, { ref: false }).then(() => {
      throw new Error(`${streams} event streams were not all open after ${OPEN_MS / 1_000} s`);
    }),
  ]);
  await untilQuiet(pid, 30_000);
  const heldBytes = memory(pid, 'VmRSS');
  const began = performance.now();
  holder.child.kill('SIGKILL');
  let vanishedMs: number | null = null;
  while (vanishedMs === null && performance.now() - began < 30_000) {
    const open = Number(await get(upstreamPort, 'GET', '/streams').then(({ body }) => body));
    if (open === 0) vanishedMs = performance.now() - began;
    else await setTimeout(10);
  }
  await untilQuiet(pid, 30_000);
  return { heldBytes, vanishedMs };
}

async function measureDownload(pid: number, port: number, upstreamPort: number): Promise<Result> {
  await get(upstreamPort, 'POST', '/download/100000');
  await untilQuiet(pid, 10_000);
  // 5 resets the peak (VmHWM) to what is resident now (proc(5)).
  fs.writeFileSync(`/proc/${pid}/clear_refs`, '5');
  const before = memory(pid, 'VmRSS');
  const began = performance.now();
  const { status, bytes } = await get(port, 'POST', `/download/${DOWNLOAD_BYTES}`);
  const seconds = (performance.now() - began) / 1_000;
  const growth = memory(pid, 'VmHWM') - before;
  const whole = status === 200 && bytes === DOWNLOAD_BYTES;
  const speed = `${(bytes / 1e6 / seconds).toFixed(0)} MB/s`;
  return {
    name: 'growth of resident memory while 1 GiB of JSON passes',
    value: whole
      ? `${megabytes(growth)} (from ${megabytes(before)}; ${speed})`
      : `cut off: status ${status}, ${bytes} of ${DOWNLOAD_BYTES} bytes, growth ${megabytes(growth)}`,
    bound: `< ${megabytes(MAX_GROWTH_BYTES)}`,
    met: whole && growth < MAX_GROWTH_BYTES,
  };
}

/** One request on a connection of its own. Only short bodies are kept. */
async function get(
  port: number,
  method: string,
  target: string,
): Promise<{ status: number; bytes: number; body: string }> {
  const call =
    method === 'POST' ? '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}}' : '';
  const socket = net.connect(port, '127.0.0.1');
  socket.write(
    `${method} ${target} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAccept: application/json, text/event-stream\r\nContent-Type: application/json\r\nContent-Length: ${call.length}\r\n\r\n${call}`,
  );
  let head = '';
  let received = 0;
  let expected = Number.POSITIVE_INFINITY;
  let body = '';
  await new Promise<void>((resolve, reject) => {
    socket.on('data', (part: Buffer) => {
      if (expected === Number.POSITIVE_INFINITY) {
        head += part.toString('latin1');
        const end = head.indexOf('\r\n\r\n');
        if (end < 0) return;
        expected = Number(/^content-length: *(\d+)/im.exec(head)?.[1]);
        body = head.slice(end + 4);
        received = body.length;
        head = head.slice(0, end);
      } else {
        received += part.length;
      }
      if (received >= expected) resolve();
    });
    socket.once('close', () => resolve());
    socket.once('error', reject);
  });
  socket.destroy();
  return { status: Number(head.split(' ')[1]), bytes: received, body };
}

/** Bytes, of a line of /proc/PID/status. */
function memory(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1]) * 1_024;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}

function node(script: string): string[] {
  return [process.execPath, fileURLToPath(new URL(`./${script}.ts`, import.meta.url))];
}
