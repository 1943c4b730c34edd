/**
 * Two hundred resources: what the operator needs of memory, and what it asks of the API server at rest.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KubeClient } from '../../../operator/kube/client.ts';
import { MUTATING_WEBHOOKS, RECORDED_SERVERS } from '../../../operator/reconcile/kinds.ts';
import { HELM_IS_HERE } from '../chart/helm.ts';
import { createDeployment, createServer, createService } from './cluster.ts';
import { type OperatorProcess, openStage, soon, type Stage } from './stage.ts';

const NAMESPACES = 10;
const EACH = 20;
const MOST_BYTES = 200 * 2 ** 20;
const REST_MS = 30_000;

let stage: Stage;
let client: KubeClient;
let operator: OperatorProcess;

beforeAll(async () => {
  stage = await openStage();
  client = stage.client;
  operator = await stage.startOperator();
});
afterAll(() => stage?.stop());

async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

async function calls(): Promise<number> {
  const name = 'mcp_recorder_operator_api_requests_total';
  return (await operator.metric(name)) - (await operator.metric(name, 'resource="leases"'));
}

async function ready(): Promise<number> {
  const servers = await client.list(RECORDED_SERVERS);
  return servers.filter(({ status }) =>
    status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
  ).length;
}

describe.runIf(HELM_IS_HERE)('two hundred resources', () => {
  it('take less than 200 MB of the operator, and nothing of the API server at rest', async () => {
    const startedMs = performance.now();
    for (let n = 0; n < NAMESPACES; n += 1) {
      const { namespace } = await stage.createNamespace();
      for (let m = 0; m < EACH; m += 1) {
        const name = `server-${m}`;
        await createService(client, namespace, name, { app: name });
        await createServer(client, namespace, name, { server: { port: 8080 } });
        await createDeployment(client, namespace, name, 1);
      }
    }
    let most = 0;
    await soon(async () => {
      most = Math.max(most, await residentBytes(operator.pid));
      return (await ready()) === NAMESPACES * EACH;
    }, 600_000);
    const readyMs = performance.now() - startedMs;
    const made = await calls();
    await delay(REST_MS);
    const atRest = (await calls()) - made;
    const rest = await residentBytes(operator.pid);
    most = Math.max(most, rest);
    const mib = (bytes: number) => Math.round(bytes / 2 ** 20);
    process.stdout.write(
      `${NAMESPACES * EACH} resources ready after ${Math.round(readyMs / 1000)} s and ${made} requests; ${atRest} requests in ${REST_MS / 1000} s of rest; RSS ${mib(rest)} MiB, at most ${mib(most)} MiB\n`,
    );
    const objects = (await client.list(MUTATING_WEBHOOKS)).map(({ webhooks }) => webhooks?.length);
    expect(objects.toSorted((a = 0, b = 0) => a - b)).toEqual([1, 1, 100, 100]);
    expect(most).toBeLessThan(MOST_BYTES);
    // Watches that end by themselves are begun again.
    expect(atRest).toBeLessThan(30);
  }, 900_000);
});
