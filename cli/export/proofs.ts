/**
 * Owns the proofs of exported exchanges: one bundle a line, each of which a third party can check by itself.
 * Invariant: what is written has been verified as its reader will verify it.
 */
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { CommandFailure } from '../failure.ts';
import { storeWithGet } from '../store-with-get.ts';
import { proveExchange } from '../write-proof.ts';
import type { Output } from './output.ts';
import type { Selection } from '../selection.ts';

/** Objects that are kept for the next proof: exchanges of one session stand in few. */
const MOST_KEPT = 16;

export async function exportProofs(
  store: ObjectStore,
  { exchanges }: Selection,
  output: Output,
): Promise<void> {
  const keeping = keepObjects(store);
  for await (const { read } of exchanges()) {
    const { bundle, report } = await proveExchange(keeping, read);
    const [finding] = report.findings;
    if (!report.ok) {
      throw new CommandFailure(
        `Exchange ${read.exchange} can not be proven: ${finding?.message ?? 'no reason was found'}.`,
      );
    }
    await output.write(`${JSON.stringify(bundle)}\n`);
  }
}

/** The store, with the objects that were read last given again. */
function keepObjects(store: ObjectStore): ObjectStore {
  const kept = new Map<string, Promise<Uint8Array>>();
  return storeWithGet(store, (key, _signal, version) => {
    const name = `${key}@${version ?? ''}`;
    let found = kept.get(name);
    if (found === undefined) {
      // Whoever asked first may have given up; who asks next needs it all the same.
      found = store.get(key, undefined, version);
      found.catch(() => kept.delete(name));
      kept.set(name, found);
      const [oldest] = kept.keys();
      if (kept.size > MOST_KEPT && oldest !== undefined) kept.delete(oldest);
    }
    return found;
  });
}
