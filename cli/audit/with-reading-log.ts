/**
 * Owns where a reading is logged: in the store that the reader names, and in the one that the owner of the store asks for, both if they differ.
 * Invariant: a reader can add a log and can't take one away.
 */
import { readStoreConfiguration } from '@mcp-recorder/recording/store/store-configuration';
import { type ObjectStore, StoreError } from '@mcp-recorder/recording/store/object-store';
import { beforeClosing, closeProcess } from '../closing.ts';
import { CommandFailure, EXIT } from '../failure.ts';
import { type Asked, openReadingLog, type Reading, type ReadingLog } from './reading-log.ts';

export interface LoggedReading {
  /** The store that is read. */
  store: ObjectStore;
  asked: Asked;
  /** The store that the reader names for the log, as it was given; null: none. */
  audit: string | null;
  /** Opens a store for the log. */
  open(location: string): Promise<ObjectStore>;
}

/**
 * Reads with a log.
 * @throws StoreError, StoreConfigurationError when it can't be known whether the store asks for a log; CommandFailure when it can't be written
 */
export async function withReadingLog<T>(
  { store, asked, audit, open }: LoggedReading,
  read: (reading: Reading) => Promise<T>,
): Promise<T> {
  const { audit: demanded } = await readStoreConfiguration(store);
  const stores = new Map<string, ObjectStore>();
  if (demanded === 'self') stores.set(store.location, store);
  for (const location of [demanded === 'self' ? null : demanded, audit]) {
    if (location === null) continue;
    const opened = await open(location);
    stores.set(opened.location, stores.get(opened.location) ?? opened);
  }
  const logs: { log: ReadingLog; location: string }[] = [];
  for (const [location, into] of stores) {
    const log = await logged(location, 'nothing was read', () => openReadingLog(into, asked, store.location));
    logs.push({ log, location });
  }
  const end = async (outcome: 'ok' | 'error'): Promise<void> => {
    for (const { log, location } of logs) {
      await logged(location, 'what was shown is not named there', () => log.end(outcome));
    }
  };
  // A reader who closes the pipe, or ends the process, has seen what was shown until then.
  const release = beforeClosing(() => end('ok'));
  const onSignal = (): void => void closeProcess(EXIT.interrupted);
  // A command that hears the signal itself ends as it wants.
  const hearsItself = logs.length === 0 || process.listenerCount('SIGINT') > 0;
  if (!hearsItself) process.once('SIGINT', onSignal);
  try {
    const answer = await read({ saw: (what) => logs.forEach(({ log }) => log.saw(what)) });
    await end('ok');
    return answer;
  } catch (error) {
    // The reading's own failure is what the reader must hear of; that it began is in the log already.
    await end('error').catch(() => {});
    throw error;
  } finally {
    release();
    process.off('SIGINT', onSignal);
  }
}

async function logged<T>(location: string, consequence: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    throw new CommandFailure(
      `This reading can't be logged in ${location}, so ${consequence}: ${error.message}\n${error.hint}`,
    );
  }
}
