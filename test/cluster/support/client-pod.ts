/**
 * Owns clients inside the cluster: a pod with Node and the official MCP client SDK, in which suites run scripts.
 * Invariant: what a script prints as its last line is its answer, as JSON.
 */
import { everythingImage } from './images.ts';
import { apply, inPod, kubectl } from './kubectl.ts';
import type { CommandOptions } from './run-command.ts';

export interface ClientPod {
  namespace: string;
  name: string;
  /**
   * Runs a module (TypeScript; the SDK and Node's own modules can be imported) in the pod.
   * @param args are in `process.argv` from the third on
   * @returns what its last line says, as JSON
   * @throws with all that it wrote when it fails
   */
  run<T>(script: string, args?: readonly string[], options?: CommandOptions): Promise<T>;
  /** A call of one tool by a fresh client of the SDK: connects, calls, closes. Rejects as `run` does. */
  callTool(url: string, tool: string, args?: object): Promise<ToolAnswer>;
  /** One TCP connect, given up after `timeoutMs` (default one second). */
  connect(host: string, port: number, timeoutMs?: number): Promise<'connected' | 'timeout' | (string & {})>;
}

export interface ToolAnswer {
  content: { type: string; text?: string }[];
  isError?: boolean;
}

const CALL_TOOL = `
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
const [url, name, args] = process.argv.slice(2);
const client = new Client({ name: 'cluster-test', version: '1.0.0' });
await client.connect(new StreamableHTTPClientTransport(new URL(url)));
console.log(JSON.stringify(await client.callTool({ name, arguments: JSON.parse(args) })));
await client.close();
process.exit(0);
`;

const CONNECT = `
import net from 'node:net';
const [host, port, timeout] = process.argv.slice(2);
const socket = net.connect({ host, port: Number(port) });
const say = (outcome) => {
  console.log(JSON.stringify(outcome));
  process.exit(0);
};
socket.once('connect', () => say('connected'));
socket.once('error', (error) => say(error.code));
setTimeout(() => say('timeout'), Number(timeout));
`;

/** Where a client that is given audiences finds its tokens, a file each: `token-0`, `token-1`. */
export const TOKENS = '/var/run/mcp';

/**
 * Starts one and waits until it is ready.
 * @param labels of the pod
 * @param audiences of tokens of its service account, which is named as the pod and is made here; none: it has no token
 */
export async function startClientPod(
  namespace: string,
  name = 'client',
  labels: Record<string, string> = {},
  audiences: readonly string[] = [],
): Promise<ClientPod> {
  const identity = audiences.length === 0 ? null : await identityOf(namespace, name, audiences);
  await apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { app: name, ...labels } },
    spec: {
      terminationGracePeriodSeconds: 1,
      ...identity?.pod,
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'client',
          image: await everythingImage(),
          imagePullPolicy: 'IfNotPresent',
          ...identity?.container,
          command: ['node', '-e', 'setInterval(() => {}, 1e6); process.on("SIGTERM", () => process.exit());'],
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        },
      ],
    },
  });
  await kubectl(['wait', '-n', namespace, '--for=condition=Ready', `pod/${name}`, '--timeout=60s'], {
    timeoutMs: 70_000,
  });
  const run = async <T>(script: string, args: readonly string[] = [], options: CommandOptions = {}) => {
    const command = ['node', '--input-type=module-typescript', '-', ...args];
    const { stdout } = await inPod(namespace, name, 'client', command, { ...options, stdin: script });
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as T;
  };
  return {
    namespace,
    name,
    run,
    callTool: (url, tool, args = {}) => run(CALL_TOOL, [url, tool, JSON.stringify(args)]),
    connect: (host, port, timeoutMs = 1000) => run(CONNECT, [host, String(port), String(timeoutMs)]),
  };
}

async function identityOf(namespace: string, name: string, audiences: readonly string[]) {
  await apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } });
  const sources = audiences.map((audience, index) => ({
    serviceAccountToken: { audience, path: `token-${index}` },
  }));
  return {
    pod: { serviceAccountName: name, volumes: [{ name: 'tokens', projected: { sources } }] },
    container: { volumeMounts: [{ name: 'tokens', mountPath: TOKENS, readOnly: true }] },
  };
}
