/**
 * Owns running the MCP conformance suites against a server and reading their verdicts, scenario by scenario.
 * Invariant: a verdict is what the suite wrote for machines (`checks.json`), never what it printed; a scenario that
 * ran without writing one is a verdict too, so that nothing can be equal by being absent on both sides unnoticed.
 *
 * By hand: `node test/conformance/run.ts DIRECT_URL [THROUGH_URL]` prints JSON; exit 1 when verdicts differ.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const { resolve } = createRequire(import.meta.url);

export interface Suite {
  name: string;
  script: string;
  args: readonly string[];
}

/** The released suite, and the next one with what each live revision requires. */
export const SUITES: readonly Suite[] = [
  {
    name: '0.1.16 all',
    script: resolve('@modelcontextprotocol/conformance/dist/index.js'),
    args: ['--suite', 'all'],
  },
  ...['2025-11-25', '2026-07-28'].map((revision) => ({
    name: `0.2 ${revision}`,
    script: resolve('conformance-next/dist/index.js'),
    args: ['--requirements', revision],
  })),
];

/** Checks of each scenario in the order in which they were made: `<check id> <STATUS>`. */
export type Verdicts = Record<string, string[]>;

export interface SuiteRun {
  suite: string;
  verdicts: Verdicts;
  /** The suite's own opinion: no scored scenario failed. */
  passed: boolean;
  durationMs: number;
}

const DEADLINE_MS = 120_000;
const NOTHING_WRITTEN = '(the scenario wrote no checks)';

interface Check {
  id: string;
  status: string;
}

/**
 * Runs one suite against a server, its scenarios one after the other (they share the CPU with their own time-outs).
 * @throws when the suite can't be run at all, or ran no scenario.
 */
export async function runSuite(suite: Suite, url: string): Promise<SuiteRun> {
  const results = await mkdtemp(join(tmpdir(), 'conformance-'));
  try {
    const started = performance.now();
    const { stdout, exitCode } = await runScript([
      suite.script,
      'server',
      '--url',
      url,
      ...suite.args,
      '--output-dir',
      results,
    ]);
    const durationMs = Math.round(performance.now() - started);
    const verdicts: Verdicts = {};
    for (const [, scenario] of stdout.matchAll(/^=== Running scenario: (\S+) ===$/gm)) {
      verdicts[scenario ?? ''] = [NOTHING_WRITTEN];
    }
    for (const directory of await readdir(results)) {
      const scenario = directory.replace(/^server-/, '').replace(/-\d{4}-\d\d-\d\dT[\d-]+Z$/, '');
      if (verdicts[scenario] === undefined) {
        throw new Error(`${suite.name}: results of a scenario that was not announced: ${directory}`);
      }
      const written = await readFile(join(results, directory, 'checks.json'), 'utf8').catch(absent);
      if (written === null) {
        continue;
      }
      const checks: Check[] = JSON.parse(written);
      verdicts[scenario] = checks.map(({ id, status }) => `${id} ${status}`);
    }
    if (Object.keys(verdicts).length === 0) {
      throw new Error(`${suite.name} ran no scenario against ${url}; it wrote:\n${stdout}`);
    }
    return { suite: suite.name, verdicts, passed: exitCode === 0, durationMs };
  } finally {
    await rm(results, { recursive: true, force: true });
  }
}

/** Runs every suite against a server, one after the other. */
export async function runSuites(url: string, suites = SUITES): Promise<SuiteRun[]> {
  const runs: SuiteRun[] = [];
  for (const suite of suites) {
    runs.push(await runSuite(suite, url));
  }
  return runs;
}

/**
 * Says where two runs disagree, none when every verdict is the same: one sentence for each check with another
 * status, or one for the scenario when other checks were made.
 */
export function differences(direct: readonly SuiteRun[], through: readonly SuiteRun[]): string[] {
  const found: string[] = [];
  for (const name of new Set([...direct, ...through].map((run) => run.suite))) {
    const one = direct.find((run) => run.suite === name)?.verdicts ?? {};
    const other = through.find((run) => run.suite === name)?.verdicts ?? {};
    for (const scenario of new Set([...Object.keys(one), ...Object.keys(other)])) {
      const here = (sentence: string) => found.push(`${name}, ${scenario}: ${sentence}`);
      const expected = one[scenario] ?? ['(not run)'];
      const actual = other[scenario] ?? ['(not run)'];
      if (idsOf(expected) !== idsOf(actual)) {
        here(`directly [${expected.join(', ')}], through the proxy [${actual.join(', ')}]`);
        continue;
      }
      for (const [at, check] of expected.entries()) {
        if (check !== actual[at]) {
          here(`directly ${check}, through the proxy ${actual[at]}`);
        }
      }
    }
  }
  return found;
}

function idsOf(checks: readonly string[]): string {
  return checks.map((check) => check.slice(0, check.lastIndexOf(' '))).join();
}

/** A scenario that threw leaves its directory empty; any other failure to read is this harness's own. */
function absent(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') {
    return null;
  }
  throw error;
}

function runScript(args: string[]): Promise<{ stdout: string; exitCode: number }> {
  return new Promise((done, failed) => {
    const limits = { timeout: DEADLINE_MS, maxBuffer: 64 * 1024 * 1024 };
    execFile(process.execPath, args, limits, (error, stdout, stderr) => {
      const exitCode = error === null ? 0 : error.code;
      // 1 is a verdict; anything else (a signal after the deadline, a missing script) is not.
      if (exitCode === 0 || exitCode === 1) {
        done({ stdout, exitCode });
      } else {
        failed(
          new Error(`the conformance suite did not run to its end (${exitCode ?? error?.signal}): ${stderr}`),
        );
      }
    });
  });
}

if (import.meta.main) {
  const [directUrl, throughUrl] = process.argv.slice(2);
  if (directUrl === undefined) {
    console.error('usage: node test/conformance/run.ts DIRECT_URL [THROUGH_URL]');
    process.exit(2);
  }
  const direct = await runSuites(directUrl);
  const through = throughUrl === undefined ? null : await runSuites(throughUrl);
  const differing = through === null ? [] : differences(direct, through);
  console.log(JSON.stringify({ direct, through, differences: differing }, null, 2));
  process.exit(differing.length > 0 ? 1 : 0);
}
