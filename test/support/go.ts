/**
 * Owns finding the Go that programs of the tests are built with.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const PLACES = ['go', '/usr/local/go/bin/go', '/usr/lib/go/bin/go'];
const run = promisify(execFile);

/**
 * The program to call.
 * @param purpose says in the error what it is needed for
 * @throws when there is none
 */
export async function findGo(purpose: string): Promise<string> {
  for (const go of PLACES) {
    const found = await run(go, ['version']).then(
      () => true,
      () => false,
    );
    if (found) return go;
  }
  throw new Error(`Go is not installed (looked for ${PLACES.join(', ')}): ${purpose}`);
}
