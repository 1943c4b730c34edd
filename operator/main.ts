/**
 * Owns the operator's command line: what is run, with which settings, and how it ended.
 * Invariant: what can't work is said before anything is begun, with what to do about it, and exit code 2.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { platformProblems } from './desired/configuration-check.ts';
import { findAccess } from './kube/access.ts';
import { createClient, type KubeClient } from './kube/client.ts';
import { FIELD_MANAGER } from './naming.ts';
import { release } from './reconcile/release.ts';
import { startReplica } from './run.ts';
import { loadSettings, type Settings, SettingsError } from './settings.ts';

const USAGE = `usage: operator run --settings FILE
       operator release --settings FILE

run      serves admission requests, and reconciles RecordedMCPServers while it holds the Lease
release  before an uninstall: takes away what would block pods, Services or deletions without an operator

FILE is what the chart renders from its values. The API server is found as in a pod, or by KUBECONFIG.`;

/** The longest that an end may take (ms): of the 30 s that the kubelet gives, the chart's preStop hook takes 5. */
const END_MS = 20_000;

/** What the caller has to correct. */
class UsageError extends Error {}

const log = pino({}, pino.destination({ fd: 2, sync: true }));

function readArguments(): { command: 'run' | 'release'; settings: Settings } {
  let parsed: {
    values: { settings?: string | undefined; help?: boolean | undefined };
    positionals: string[];
  };
  try {
    parsed = parseArgs({
      allowPositionals: true,
      options: { settings: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n\n${USAGE}`);
  }
  if (parsed.values.help === true) {
    process.stdout.write(`${USAGE}\n`);
    process.exit(0);
  }
  const [command, ...others] = parsed.positionals;
  if ((command !== 'run' && command !== 'release') || others.length > 0) {
    throw new UsageError(`what to do is run or release\n\n${USAGE}`);
  }
  if (parsed.values.settings === undefined) throw new UsageError(`--settings FILE is missing\n\n${USAGE}`);
  return { command, settings: loadSettings(parsed.values.settings) };
}

function connect(): KubeClient {
  try {
    const access = findAccess(process.env, () => performance.now());
    return createClient({ access, fieldManager: FIELD_MANAGER });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** What every recorder would refuse. An uninstall goes on without: it writes no configuration. */
function checkPolicy(settings: Settings): void {
  const problems = platformProblems(settings);
  if (problems.length === 0) return;
  const list = problems.map((problem) => `  ${problem}`).join('\n');
  throw new SettingsError(
    `policy.rules and policy.masking can't be used; correct the chart's values:\n${list}`,
  );
}

async function run(settings: Settings, client: KubeClient): Promise<number> {
  const told = new Promise<'told'>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve('told'));
  });
  const replica = await startReplica({ client, settings, host: hostname(), log });
  const failure = await Promise.race([told, replica.failed.catch((error: unknown) => ({ error }))]);
  setTimeout(() => {
    log.error(`not ended within ${END_MS} ms`);
    process.exit(1);
  }, END_MS).unref();
  await replica.close();
  if (failure === 'told') return 0;
  log.error({ err: failure.error }, 'the webhook can not be served');
  return 1;
}

async function releaseAll(settings: Settings, client: KubeClient): Promise<number> {
  const holder = `release-${hostname()}-${randomBytes(4).toString('hex')}`;
  const left = await release({ client, settings, holder, now: () => new Date(), log });
  await client.close();
  for (const what of left) log.error(what);
  if (left.length === 0) log.info('the cluster is released');
  return left.length === 0 ? 0 : 1;
}

async function main(): Promise<number> {
  try {
    const { command, settings } = readArguments();
    if (command === 'run') checkPolicy(settings);
    const client = connect();
    return await (command === 'run' ? run(settings, client) : releaseAll(settings, client));
  } catch (error) {
    if (error instanceof UsageError || error instanceof SettingsError) {
      process.stderr.write(`${error.message}\n`);
      return 2;
    }
    log.error({ err: error }, 'the operator could not start');
    return 1;
  }
}

// What nobody caught leaves this process in a state that nobody knows; the kubelet starts another, and the next replica takes the Lease.
process.on('uncaughtException', (error) => {
  log.fatal({ err: error }, 'the operator ends: an error was not caught');
  process.exit(1);
});
process.exit(await main());
