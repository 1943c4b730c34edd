/**
 * The operator as a process that can be told to kill itself at its n-th write about one namespace, and whose Lease is short. Everything else is
 * the operator. Environment: LEASE_MS; KILL_IN, the namespace; KILL_AT, from 1 on, 0 for never; KILL_OF: `all` writes, or `world`, those that
 * are no status; KILL_WHEN: `after` the answer came, or when the request was `sent` and nobody waits for its answer.
 */
import { hostname } from 'node:os';
import { pino } from 'pino';
import { findAccess } from '../../../operator/kube/access.ts';
import { createClient, type KubeClient } from '../../../operator/kube/client.ts';
import { FIELD_MANAGER } from '../../../operator/naming.ts';
import { startReplica } from '../../../operator/run.ts';
import { loadSettings } from '../../../operator/settings.ts';

const { LEASE_MS = '4500', KILL_IN = '', KILL_AT = '0', KILL_OF = 'all', KILL_WHEN = 'after' } = process.env;
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
  write: (...args: Args) => Promise<T>,
): (...args: Args) => Promise<T> {
  return async (...args) => {
    // The addressed object is the first or the second argument.
    const what = JSON.stringify(args.slice(0, 2));
    const isCounted = what.includes(`"namespace":"${KILL_IN}"`) && !what.includes('"plural":"events"');
    if (isCounted) writes += 1;
    const dies = isCounted && writes === Number(KILL_AT);
    const answer = write(...args);
    // The request is on its way when the loop has come round.
    if (dies && KILL_WHEN === 'sent') setImmediate(() => process.kill(process.pid, 'SIGKILL'));
    await answer;
    if (dies) process.kill(process.pid, 'SIGKILL');
    return answer;
  };
}

const faulty: KubeClient = {
  ...client,
  create: dyingAt(client.create),
  update: dyingAt(client.update),
  apply: dyingAt(client.apply),
  applyStatus: KILL_OF === 'all' ? dyingAt(client.applyStatus) : client.applyStatus,
  patch: dyingAt(client.patch),
  delete: dyingAt(client.delete),
  evict: dyingAt(client.evict),
} as KubeClient;

const times = { leaseMs, renewDeadlineMs: (leaseMs * 2) / 3, retryMs: leaseMs / 6 };
const replica = await startReplica({ client: faulty, settings, host: hostname(), log, times });
process.once('SIGTERM', () => void replica.close());
