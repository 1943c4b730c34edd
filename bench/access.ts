/**
 * Owns `npm run bench:access`: what identity, rules and masking cost, with 64 callers, all of the recorder's work on core 0.
 * The same recorder without them, with each of them, and with all, in turn; every request carries a token of one issuer.
 * Invariant: all get the same requests, and every call is allowed and holds nothing to mask: what is measured is the looking.
 * Writes everything as JSON to .bench/access.json; exit code 1 when the bound is missed, 2 when the run failed.
 */
import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { startCandidate } from './candidates.ts';
import { runLoad, writeScript } from './load.ts';
import { startBackEnd } from './nginx.ts';
import { cpuUs, pause, pinSelf, stopAll, stopOnSignals, untilQuiet } from './processes.ts';
import { quantile } from './report.ts';
import { exchanges } from './traffic.ts';

const PROXY_CORE = 0;
const LOAD_CORE = 1;
const CALLERS = 64;
const ROUNDS = 5;
const WARM_UP_SECONDS = 1;
const SECONDS = 5;
/** Throughput with everything on, as a share of that without. */
const BOUND = 0.6;
const ISSUER = 'https://idp.example.com';
const RESOURCE = 'https://mcp.example.com/bench';
const OUTPUT = fileURLToPath(new URL('../.bench/', import.meta.url));

const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const AUTH = {
  auth: {
    resource: RESOURCE,
    oidc: [
      {
        issuer: ISSUER,
        jwks: { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'bench', alg: 'EdDSA' }] },
      },
    ],
  },
};
/** What people write: by tool, by group, by argument, by origin of the call. None of them matches. */
const RULES = {
  rules: [
    { when: 'mcp.method == "tools/call" && mcp.tool.startsWith("delete_")' },
    { when: 'mcp.tool == "drop_table" && !("admins" in principal.groups)' },
    { when: 'mcp.tool in ["transfer", "refund"] && !("finance" in principal.groups)' },
    { when: 'mcp.tool == "search_orders" && mcp.arguments.limit > 1000' },
    {
      when: 'mcp.tool == "search_orders" && has(mcp.arguments.region) && mcp.arguments.region == "restricted"',
    },
    { when: 'principal.groups.exists(g, g.startsWith("external-"))' },
    { when: 'mcp.method == "resources/read" && mcp.target.startsWith("file:///etc/")' },
    { when: 'client.address.startsWith("203.0.113.")' },
    { when: 'mcp.tool.matches("^(admin|root)_[a-z]+$")' },
    { when: 'server.labels.environment == "staging" && mcp.method == "prompts/get"', action: 'MetadataOnly' },
  ].map((rule, index) => ({ name: `rule-${index}`, action: 'Deny', ...rule })),
  labels: { environment: 'production' },
};
const MASKING = { masking: { rules: [{ detectors: ['all'] }] } };
const ANONYMOUS = { auth: { mode: 'Anonymous' } };

const STEPS = {
  nothing: ANONYMOUS,
  identity: AUTH,
  rules: { ...ANONYMOUS, ...RULES },
  masking: { ...ANONYMOUS, ...MASKING },
  all: { ...AUTH, ...RULES, ...MASKING },
};
type Step = keyof typeof STEPS;

interface Turn {
  step: Step;
  round: number;
  rps: number;
  p50Us: number;
  cpuUsPerExchange: number;
  /** Resident memory when the turn was over, in MiB. */
  residentMiB: number;
}

const directory = path.join(OUTPUT, `access-${process.pid}`);
stopOnSignals(directory);
try {
  fs.mkdirSync(directory, { recursive: true });
  await pinSelf(LOAD_CORE);
  process.exitCode = (await compare()) ? 0 : 1;
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
} finally {
  await stopAll();
  fs.rmSync(directory, { recursive: true, force: true });
}

async function compare(): Promise<boolean> {
  const traffic = exchanges();
  const authorization = `Bearer ${token()}`;
  const backEnd = await startBackEnd(LOAD_CORE, directory, traffic);
  const candidates: { step: Step; pid: number; port: number; script: string }[] = [];
  for (const [step, access] of Object.entries(STEPS) as [Step, object][]) {
    const own = path.join(directory, step);
    const place = { core: PROXY_CORE, directory: own, upstreamPort: backEnd.port, access };
    const { pid, port } = await startCandidate('recorder-access', place);
    if (pid === null) throw new Error('the recorder has no process');
    const script = path.join(directory, `${step}.lua`);
    writeScript(script, traffic, `127.0.0.1:${port}`, { Authorization: authorization });
    // Compiled code before the first figure.
    await loaded({ script, port, seconds: 3 });
    await untilQuiet(pid, 20_000);
    pause(pid, true);
    candidates.push({ step, pid, port, script });
  }
  const turns: Turn[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const { step, pid, port, script } of candidates) {
      pause(pid, false);
      await loaded({ script, port, seconds: WARM_UP_SECONDS });
      const before = cpuUs(pid);
      const load = await loaded({ script, port, seconds: SECONDS });
      const afterUs = cpuUs(pid);
      await untilQuiet(pid, 20_000);
      const owedUs = cpuUs(pid) - afterUs;
      const residentMiB = residentMiBOf(pid);
      pause(pid, true);
      turns.push({
        step,
        round,
        rps: load.requests / ((load.durationUs + owedUs) / 1e6),
        p50Us: load.p50Us,
        cpuUsPerExchange: (afterUs - before + owedUs) / load.requests,
        residentMiB,
      });
    }
  }
  return report(turns);
}

/** A refused call would be answered fast: it counts as an error, and ends the run. */
async function loaded(options: { script: string; port: number; seconds: number }) {
  const load = await runLoad(LOAD_CORE, { ...options, connections: CALLERS });
  if (load.errors > 0) throw new Error(`${load.errors} of ${load.requests} calls were not answered with 2xx`);
  return load;
}

/** VmRSS. Of a process that ran on core 0 through `taskset`, which became it. */
function residentMiBOf(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) / 1024;
}

/** A JWT access token (RFC 9068) that lives longer than the run. */
function token(): string {
  const now = Math.floor(Date.now() / 1000);
  const header = { alg: 'EdDSA', typ: 'at+jwt', kid: 'bench' };
  const claims = {
    iss: ISSUER,
    aud: RESOURCE,
    sub: 'u-4711',
    client_id: 'bench',
    name: 'Ada',
    groups: ['dev', 'oncall', 'orders-readers'],
    iat: now,
    exp: now + 3600,
    jti: 'bench',
  };
  const signed = [header, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  const key = createPrivateKey(privateKey.export({ format: 'pem', type: 'pkcs8' }));
  return `${signed}.${sign(null, Buffer.from(signed), key).toString('base64url')}`;
}

function report(turns: readonly Turn[]): boolean {
  const median = (step: Step, of: (turn: Turn) => number) =>
    quantile(turns.filter((turn) => turn.step === step).map(of), 0.5);
  const base = median('nothing', ({ rps }) => rps);
  const rows = (Object.keys(STEPS) as Step[]).map((step) => ({
    step,
    rps: median(step, ({ rps }) => rps),
    share: median(step, ({ rps }) => rps) / base,
    p50Us: median(step, ({ p50Us }) => p50Us),
    cpuUs: median(step, ({ cpuUsPerExchange }) => cpuUsPerExchange),
    residentMiB: median(step, ({ residentMiB }) => residentMiB),
  }));
  fs.writeFileSync(path.join(OUTPUT, 'access.json'), `${JSON.stringify({ rows, turns }, null, 2)}\n`);
  for (const { step, rps, share, p50Us, cpuUs: cpu, residentMiB } of rows) {
    process.stdout.write(
      `${step.padEnd(10)} ${rps.toFixed(0).padStart(7)} req/s  ${share.toFixed(2)}  p50 ${p50Us.toFixed(0).padStart(6)} us  ${cpu.toFixed(1).padStart(6)} us CPU an exchange  ${residentMiB.toFixed(0).padStart(4)} MiB\n`,
    );
  }
  const share = rows.find(({ step }) => step === 'all')?.share ?? 0;
  const met = share >= BOUND;
  process.stdout.write(
    `${met ? 'met   ' : 'MISSED'} throughput with identity, ${RULES.rules.length} rules and all detectors: ${share.toFixed(2)} of that without, bound ${BOUND}\n`,
  );
  return met;
}
