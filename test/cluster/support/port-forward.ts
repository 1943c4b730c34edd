/** Owns reaching a port inside the cluster from a command of `runInRig`, on any cluster: kubectl port-forward. */
import { startProcess } from '../../support/child-process.ts';
import { entry } from './which-cluster.ts';

export interface PortForward {
  /** `127.0.0.1:PORT`, for commands of `runInRig`: on the rig, this machine's own loopback is another. */
  address: string;
  stop(): Promise<void>;
}

/** @param target `pod/NAME`, `service/NAME`, `deployment/NAME` @throws when it is not forwarded within 20 s */
export async function forwardPort(namespace: string, target: string, port: number): Promise<PortForward> {
  const command = [...entry(), 'kubectl', 'port-forward', '-n', namespace, target, `:${port}`];
  const [program = '', ...args] = command;
  const forward = await startProcess({ program, args, ready: /Forwarding from (127\.0\.0\.1:\d+)/ });
  return {
    address: forward.ready[1] ?? '',
    async stop() {
      await forward.stop();
    },
  };
}
