/** A process that contends for a Lease and says when it leads; it ends only by a signal. Arguments: kubeconfig, namespace, name, identity, times. */
import { pino } from 'pino';
import { findAccess } from '../../../operator/kube/access.ts';
import { createClient } from '../../../operator/kube/client.ts';
import { createLeadership } from '../../../operator/kube/lease.ts';

const [, , KUBECONFIG = '', namespace = '', name = '', identity = '', times = ''] = process.argv;
const access = findAccess({ KUBECONFIG }, () => performance.now());
createLeadership({
  client: createClient({ access, fieldManager: 'test' }),
  lease: { namespace, name },
  identity,
  times: JSON.parse(times),
  log: pino({ level: 'silent' }),
  lead: (signal) =>
    new Promise((resolve) => {
      console.log(`${identity} leads`);
      signal.addEventListener('abort', () => resolve());
    }),
});
