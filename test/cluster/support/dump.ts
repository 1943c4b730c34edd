/**
 * Owns what is kept of a cluster when a test has failed: pods, what is not as it should be in them, events, logs.
 * Invariant: collecting it fails no test: what can't be had is said in its place.
 */
import fs from 'node:fs/promises';
import path from 'node:path';
import { kubectl, listJson, type Pod } from './kubectl.ts';

const FOLDER = path.join(import.meta.dirname, '../../../.cluster');
/** The last lines of each container. */
const LOG_LINES = 80;
const KINDS = 'pods,services,endpointslices,deployments,statefulsets,daemonsets,jobs,networkpolicies';

export interface Dump {
  /** Where all of it is. */
  file: string;
  /** Objects and events: what tells the most in the fewest lines. */
  overview: string;
}

/** Writes down the namespaces of a suite. @param title becomes the file's name */
export async function writeDump(title: string, namespaces: readonly string[]): Promise<Dump> {
  const overview = [`# ${title}, ${new Date().toISOString()}\n`];
  const details = [];
  for (const namespace of namespaces) {
    const within = ['-n', namespace];
    const byTime = '--sort-by=.metadata.creationTimestamp';
    overview.push(await section(`${namespace}: objects`, ['get', KINDS, ...within, '-o', 'wide']));
    overview.push(await section(`${namespace}: events`, ['get', 'events', ...within, byTime]));
    details.push(await section(`${namespace}: pods`, ['describe', 'pods', '--show-events=false', ...within]));
    const pods = await listJson<Pod>('pods', namespace).catch(() => []);
    for (const pod of pods) details.push(await describeLogs(namespace, pod));
  }
  overview.push(await section('all pods', ['get', 'pods', '--all-namespaces', '-o', 'wide']));
  details.push(await section('recorded MCP servers', ['get', 'recordedmcpservers', '-A', '-o', 'yaml']));
  const file = path.join(FOLDER, `${title.replaceAll(/[^a-z0-9]+/gi, '-').slice(0, 100)}.txt`);
  await fs.mkdir(FOLDER, { recursive: true });
  await fs.writeFile(file, [...overview, ...details].join('\n'));
  return { file, overview: overview.join('\n') };
}

async function describeLogs(namespace: string, { metadata, spec, status }: Pod): Promise<string> {
  const parts = [];
  const statuses = [...(status.containerStatuses ?? []), ...(status.initContainerStatuses ?? [])];
  for (const { name } of [...(spec.initContainers ?? []), ...spec.containers]) {
    const title = `${namespace}/${metadata.name} ${name}`;
    const args = ['logs', '-n', namespace, metadata.name, '-c', name, `--tail=${LOG_LINES}`];
    parts.push(await section(`${title}: log`, args));
    const restarts = statuses.find((one) => one.name === name)?.restartCount ?? 0;
    if (restarts > 0) parts.push(await section(`${title}: log before the restart`, [...args, '--previous']));
  }
  return parts.join('\n');
}

async function section(title: string, args: string[]): Promise<string> {
  const said = await kubectl(args, { mayFail: true, timeoutMs: 15_000 }).then(
    ({ stdout, stderr }) => stdout + stderr,
    (error: unknown) => (error as Error).message,
  );
  return `--- ${title}\n${said.trim()}\n`;
}
