/**
 * The operator as a process that can be told to kill itself at its n-th write, and whose Lease is short. Everything else is the operator.
 * Environment: LEASE_MS; KILL_AT, counted from the first resource on; KILL_WHEN: `before` the request is sent, or `after` its answer came.
 */
import { hostname } from 'node:os';
import { pino } from 'pino';
import { findAccess } from '../../../operator/kube/access.ts';
import { createClient, type KubeClient } from '../../../operator/kube/client.ts';
import { FIELD_MANAGER } from '../../../operator/naming.ts';
import { startReplica } from '../../../operator/run.ts';
import { loadSettings } from '../../../operator/settings.ts';

const { LEASE_MS = '1500', KILL_AT = '0', KILL_WHEN = 'before' } = process.env;
const leaseMs = Number(LEASE_MS);
const settings = loadSettings(process.argv.at(-1) ?? '');
const client = createClient({
  access: findAccess(process.env, () => performance.now()),
  fieldManager: FIELD_MANAGER,
});
const log = pino({}, pino.destination({ fd: 2, sync: true }));
let writes = 0;

/** Dies at its write, as a process dies: at once, with whatever is under way. */
function dyingAt<Args extends unknown[], T>(
  what: string,
  write: (...args: Args) => Promise<T>,
): (...args: Args) => Promise<T> {
  return async (...args) => {
    const isCounted = !/leases|events/.test(JSON.stringify(args[0]));
    if (isCounted) writes += 1;
    const dies = isCounted && writes === Number(KILL_AT);
    if (isCounted)
      log.info({ write: writes }, `${what} ${(args[0] as { plural?: string }).plural ?? 'pods'}`);
    if (dies && KILL_WHEN === 'before') process.kill(process.pid, 'SIGKILL');
    const answer = await write(...args);
    if (dies) process.kill(process.pid, 'SIGKILL');
    return answer;
  };
}

const faulty: KubeClient = {
  ...client,
  create: dyingAt('create', client.create),
  update: dyingAt('update', client.update),
  apply: dyingAt('apply', client.apply),
  applyStatus: dyingAt('apply status', client.applyStatus),
  patch: dyingAt('patch', client.patch),
  delete: dyingAt('delete', client.delete),
  evict: dyingAt('evict', client.evict),
} as KubeClient;

const times = { leaseMs, renewDeadlineMs: (leaseMs * 2) / 3, retryMs: leaseMs / 6 };
const replica = await startReplica({ client: faulty, settings, host: hostname(), log, times });
process.once('SIGTERM', () => void replica.close());
