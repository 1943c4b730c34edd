/**
 * Owns the processes of a benchmark: each pinned to one core, its CPU time read from /proc.
 * Invariant: whatever was started is ended by its process id when the run ends, also after an error.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';

/** /proc counts CPU time in USER_HZ, 100 on every Linux. */
const TICK_US = 10_000;

export interface Pinned {
  /** Of the process started; children of its own count with it. */
  pid: number;
  child: ChildProcess;
  /** What it says when it is ready: the first line of its standard output that is one word. Other lines are passed on. */
  ready: Promise<string>;
  /** Asks it to end (SIGTERM) and waits; after 30 seconds it is killed. */
  stop(): Promise<void>;
}

const started = new Set<ChildProcess>();

/** Starts a command on `core`. What it writes to standard error is passed on. */
export function startPinned(core: number, command: readonly string[]): Pinned {
  const child = spawn('taskset', ['-c', String(core), ...command], { stdio: ['ignore', 'pipe', 'inherit'] });
  started.add(child);
  const exited = new Promise<void>((resolve) =>
    child.once('close', () => {
      started.delete(child);
      resolve();
    }),
  );
  const name = command.join(' ');
  const ready = new Promise<string>((resolve, reject) => {
    let text = '';
    child.stdout?.setEncoding('utf8').on('data', (part: string) => {
      const lines = (text + part).split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) {
        if (/^\w+$/.test(line)) resolve(line);
        else process.stderr.write(`${line}\n`);
      }
    });
    child.once('error', reject);
    exited.then(() => reject(new Error(`ended before it was ready: ${name}`)));
  });
  ready.catch(() => {});
  return {
    pid: child.pid ?? -1,
    child,
    ready,
    stop: () => stop(child),
  };
}

/** Ends everything that is still running. */
export async function stopAll(): Promise<void> {
  await Promise.all([...started].map(stop));
}

/** Ends everything and removes `directory` when a person or a supervisor ends this run. */
export function stopOnSignals(directory: string): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, async () => {
      await stopAll();
      fs.rmSync(directory, { recursive: true, force: true });
      process.exit(2);
    });
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || !started.has(child)) return;
  const exited = new Promise((resolve) => child.once('close', resolve));
  // What the harness paused would never see the signal.
  pause(child.pid, false);
  child.kill('SIGTERM');
  const killer = setTimeout(() => child.kill('SIGKILL'), 30_000);
  await exited;
  clearTimeout(killer);
}

/** Runs a command to its end on `core`; returns what it wrote to standard output. */
export async function runPinned(core: number, command: readonly string[]): Promise<string> {
  const child = spawn('taskset', ['-c', String(core), ...command], { stdio: ['ignore', 'pipe', 'inherit'] });
  started.add(child);
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  started.delete(child);
  if (code !== 0) throw new Error(`${command.join(' ')} ended with exit code ${code}: ${text}`);
  return text;
}

/** Pins this process too: it idles while a run is measured, but what it does belongs beside the load generator. */
export async function pinSelf(core: number): Promise<void> {
  await runPinned(core, ['taskset', '-a', '-cp', String(core), String(process.pid)]);
}

/** `pid` and its descendants. */
function tree(pid: number): number[] {
  const parents = new Map<number, number[]>();
  for (const entry of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const fields = statFields(`/proc/${entry}/stat`);
    if (fields === null) continue;
    const parent = Number(fields[1]);
    parents.set(parent, [...(parents.get(parent) ?? []), Number(entry)]);
  }
  const found = [pid];
  for (const one of found) found.push(...(parents.get(one) ?? []));
  return found;
}

/** User and system time of the process, its threads and its living children, in microseconds (steps of 10 ms). */
export function cpuUs(pid: number): number {
  let ticks = 0;
  for (const one of tree(pid)) {
    const fields = statFields(`/proc/${one}/stat`);
    if (fields !== null) ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * TICK_US;
}

/** CPU time of the process's threads that run now, by thread name (Node: main thread, V8 workers, libuv's pool), in microseconds. */
export function threadCpuUs(pid: number): Map<string, number> {
  const times = new Map<string, number>();
  for (const thread of fs.readdirSync(`/proc/${pid}/task`)) {
    const fields = statFields(`/proc/${pid}/task/${thread}/stat`);
    if (fields === null) continue;
    const name = fs.readFileSync(`/proc/${pid}/task/${thread}/comm`, 'latin1').trimEnd();
    times.set(name, (times.get(name) ?? 0) + (Number(fields[11]) + Number(fields[12])) * TICK_US);
  }
  return times;
}

/** CPU time of this process's children that have ended, in microseconds. */
export function endedChildrenCpuUs(): number {
  const fields = statFields('/proc/self/stat');
  return fields === null ? 0 : (Number(fields[13]) + Number(fields[14])) * TICK_US;
}

/** The fields of a stat file after the command's name, which may hold anything; field 0 is the state. */
function statFields(path: string): string[] | null {
  try {
    const text = fs.readFileSync(path, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

export interface CoreTimes {
  /** Microseconds that the core worked, for whomever. */
  busyUs: number;
  /** Microseconds that a hypervisor kept the core from us. */
  stolenUs: number;
}

export function coreTimes(core: number): CoreTimes {
  const line = fs
    .readFileSync('/proc/stat', 'latin1')
    .split('\n')
    .find((one) => one.startsWith(`cpu${core} `));
  if (line === undefined) throw new Error(`This benchmark needs two cores; /proc/stat has no cpu${core}`);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line
    .split(' ')
    .slice(1)
    .map(Number);
  return { busyUs: (user + nice + system + irq + softirq) * TICK_US, stolenUs: steal * TICK_US };
}

/** Stops or continues a candidate that is not being measured, so that work it still owes does not fall into another's turn. */
export function pause(pid: number, paused: boolean): void {
  for (const one of tree(pid)) process.kill(one, paused ? 'SIGSTOP' : 'SIGCONT');
}

/** Waits until the process uses no CPU for 250 ms, at most `limitMs`. */
export async function untilQuiet(pid: number, limitMs: number): Promise<void> {
  const deadline = performance.now() + limitMs;
  let before = cpuUs(pid);
  while (performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 250));
    const now = cpuUs(pid);
    if (now - before <= TICK_US) return;
    before = now;
  }
}

export async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port on 127.0.0.1');
  return address.port;
}

/** Waits until something accepts connections on the port; throws after ten seconds. */
export async function untilListening(port: number): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (performance.now() < deadline) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = net.connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`nothing listens on 127.0.0.1:${port} after ten seconds`);
}
