/**
 * Owns `npm run bench:cluster`: what the project costs on a cluster. Memory of a sidecar idle and under load, memory of an operator with
 * `RESOURCES` resources (default 200), time from apply to Ready, sizes of the images. Needs the rig (test/cluster/README.md).
 */
import { statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { deployEverything } from '../test/cluster/support/everything-server.ts';
import { apply, getJson, inPod, type KubernetesObject, listJson } from '../test/cluster/support/kubectl.ts';
import { freshNamespace } from '../test/cluster/support/namespaces.ts';
import {
  CREDENTIALS_SECRET,
  livingPods,
  recordedServer,
  waitForReady,
} from '../test/cluster/support/recorded-server.ts';
import {
  installRelease,
  OPERATOR_NAMESPACE,
  RELEASE,
  type Release,
} from '../test/cluster/support/release.ts';
import { rigCache, takeRigDown } from '../test/cluster/support/rig.ts';
import { startSteadyCalls } from '../test/cluster/support/steady-calls.ts';
import { waitFor } from '../test/cluster/support/wait-for.ts';
import { decideCluster, useCluster } from '../test/cluster/support/which-cluster.ts';

const RESOURCES = Number(process.env['RESOURCES'] ?? 200);
/** Nothing has been recorded for so long before a sidecar counts as idle. */
const IDLE_MS = 30_000;
const LOAD_MS = 20_000;
const MIB = 2 ** 20;

/** Resident memory of a container's first process, MiB. */
async function residentMib(namespace: string, pod: string, container: string): Promise<number> {
  const script =
    "console.log(require('fs').readFileSync('/proc/1/status', 'utf8').match(/VmRSS:\\s+(\\d+)/)[1])";
  const { stdout } = await inPod(namespace, pod, container, ['node', '-e', script]);
  return Math.round((Number(stdout) * 1024) / MIB);
}

function say(what: string, figure: string): void {
  process.stdout.write(`${what.padEnd(52)} ${figure}\n`);
}

async function measureSidecar(release: Release): Promise<void> {
  const namespace = await freshNamespace('cost');
  await release.minio.writeSecret(namespace, CREDENTIALS_SECRET);
  const server = await deployEverything(namespace, 'everything', { replicas: 1 });
  const appliedMs = performance.now();
  await apply(recordedServer(namespace, 'everything', 'everything'));
  await waitForReady(namespace, 'everything');
  say('from apply to Ready', `${((performance.now() - appliedMs) / 1000).toFixed(1)} s`);
  const [pod] = await livingPods(namespace, 'everything');
  const name = pod?.metadata.name ?? '';
  await pause(IDLE_MS);
  say('sidecar, idle', `${await residentMib(namespace, name, 'mcp-recorder')} MiB`);
  const calls = await Promise.all(
    [1, 2, 3, 4].map((number) => startSteadyCalls(namespace, server.url, `callers-${number}`)),
  );
  let highest = 0;
  const untilMs = performance.now() + LOAD_MS;
  while (performance.now() < untilMs) {
    highest = Math.max(highest, await residentMib(namespace, name, 'mcp-recorder'));
    await pause(1_000);
  }
  let answered = 0;
  for (const one of calls) answered += (await one.stop()).answered;
  say('sidecar, highest under load', `${highest} MiB (${answered} calls)`);
  await pause(IDLE_MS);
  say('sidecar, idle again', `${await residentMib(namespace, name, 'mcp-recorder')} MiB`);
}

async function measureOperator(release: Release): Promise<void> {
  const namespace = await freshNamespace('many');
  const names = Array.from({ length: RESOURCES }, (_, index) => `server-${index}`);
  await apply(names.map((name) => recordedServer(namespace, name, name)));
  await waitFor(
    `${RESOURCES} resources have a status`,
    async () => {
      const all = await listJson<KubernetesObject & { status?: object }>('recordedmcpservers', namespace);
      return all.filter(({ status }) => status !== undefined).length === RESOURCES;
    },
    { deadlineMs: 180_000, everyMs: 2_000 },
  );
  await pause(IDLE_MS);
  const { spec } = await getJson<KubernetesObject & { spec: { holderIdentity?: string } }>(
    'lease',
    RELEASE,
    OPERATOR_NAMESPACE,
  );
  for (const { metadata } of await release.operatorPods()) {
    const role = spec.holderIdentity?.includes(metadata.name) ? 'leads' : 'stands by';
    const mib = await residentMib(OPERATOR_NAMESPACE, metadata.name, 'operator');
    say(`operator that ${role}, ${RESOURCES} resources`, `${mib} MiB`);
  }
}

await useCluster(await decideCluster(process.pid));
try {
  const release = await installRelease();
  for (const part of ['sidecar', 'operator', 'base']) {
    const file =
      part === 'base' ? 'images/node26.tar' : path.join('images-built', `mcp-recorder-${part}.tar`);
    say(
      `image, ${part === 'base' ? 'base of both (Node 26)' : part}`,
      `${Math.round(statSync(path.join(rigCache(), file)).size / 1e6)} MB`,
    );
  }
  await measureSidecar(release);
  await measureOperator(release);
} finally {
  await takeRigDown(process.pid);
}
