/**
 * Owns the reading of a V8 CPU profile: self time by function, by file and by part of the program, within a time window.
 * Invariant: the shares are of the main thread's busy time; what the thread pool does (zstd, fdatasync) is in no profile.
 */
import { fileURLToPath } from 'node:url';

/** The parts of a .cpuprofile that are read (the inspector protocol's `Profiler.Profile`). Times in microseconds. */
export interface Profile {
  nodes: {
    id: number;
    callFrame: { functionName: string; url: string; lineNumber: number };
  }[];
  startTime: number;
  samples: number[];
  timeDeltas: number[];
}

export interface Share {
  name: string;
  us: number;
}

export interface Breakdown {
  /** Time that the main thread was not idle. */
  busyUs: number;
  idleUs: number;
  functions: Share[];
  files: Share[];
  parts: Share[];
}

/** Breaks the samples between `fromUs` and `toUs` (of the monotonic clock) down; each list is in falling order. */
export function breakDown(profile: Profile, fromUs: number, toUs: number): Breakdown {
  const selfUs = new Map<number, number>();
  let atUs = profile.startTime;
  for (const [index, id] of profile.samples.entries()) {
    const delta = profile.timeDeltas[index] ?? 0;
    atUs += delta;
    if (atUs >= fromUs && atUs <= toUs) selfUs.set(id, (selfUs.get(id) ?? 0) + delta);
  }
  const functions = new Map<string, number>();
  const files = new Map<string, number>();
  const parts = new Map<string, number>();
  let busyUs = 0;
  let idleUs = 0;
  for (const { id, callFrame } of profile.nodes) {
    const us = selfUs.get(id) ?? 0;
    if (us === 0) continue;
    if (callFrame.functionName === '(idle)') {
      idleUs += us;
      continue;
    }
    busyUs += us;
    const file = fileOf(callFrame.url, callFrame.functionName);
    const name = callFrame.functionName === '' ? '(anonymous)' : callFrame.functionName;
    add(functions, callFrame.url === '' ? name : `${name}  ${file}:${callFrame.lineNumber + 1}`, us);
    add(files, file, us);
    add(parts, partOf(file), us);
  }
  return { busyUs, idleUs, functions: sorted(functions), files: sorted(files), parts: sorted(parts) };
}

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** The path from the root of the repository, `node:...`, or what a frame without a file stands for. */
function fileOf(url: string, functionName: string): string {
  if (url.startsWith('file:')) {
    const file = fileURLToPath(url);
    return file.startsWith(ROOT) ? file.slice(ROOT.length) : file;
  }
  if (url !== '') return url;
  return functionName.startsWith('(') ? functionName : '(native functions)';
}

function partOf(file: string): string {
  const dependency = /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file);
  if (dependency !== null) return `dependency ${dependency[1]}`;
  if (file.startsWith('node:')) return 'node (JavaScript)';
  const slash = file.lastIndexOf('/');
  return slash < 0 ? file : file.slice(0, slash);
}

function add(shares: Map<string, number>, name: string, us: number): void {
  shares.set(name, (shares.get(name) ?? 0) + us);
}

function sorted(shares: Map<string, number>): Share[] {
  return [...shares].map(([name, us]) => ({ name, us })).toSorted((a, b) => b.us - a.us);
}
