/**
 * Owns which installed packages an image carries, and which of their files: read from the lock file, as npm installed them.
 * Invariant: everything that a package asks for (its dependencies, and theirs) comes with it, found where Node will look for it;
 * what is left out of a package is nothing that Node loads.
 */

/** What the lock file says of one place: a workspace (`sidecar`) or an installed package (`node_modules/pino`). */
export interface LockedPackage {
  dependencies?: Record<string, string>;
}
export type LockedPackages = Readonly<Record<string, LockedPackage>>;

const MODULES = 'node_modules/';

/** The name of the package that an import leads to (`@smithy/core/client` to `@smithy/core`); null for Node's own and for relative ones. */
export function packageOf(specifier: string): string | null {
  if (specifier.startsWith('.') || specifier.startsWith('node:')) return null;
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** Where Node finds `name` from `place`: the nearest node_modules on the way up. */
function find(locked: LockedPackages, place: string, name: string): string {
  for (let at = place; ; ) {
    const found = `${at === '' ? '' : `${at}/`}${MODULES}${name}`;
    if (found in locked) return found;
    if (at === '')
      throw new Error(`${place} needs ${name}, and the lock file has none for it: run npm install`);
    const parent = at.lastIndexOf(`/${MODULES}`);
    at = parent < 0 ? '' : at.slice(0, parent);
  }
}

/**
 * The places of all packages that run when `names` are imported from `place`, sorted.
 * @throws when the lock file lacks one
 */
export function closureOf(locked: LockedPackages, place: string, names: Iterable<string>): string[] {
  const found = new Set<string>();
  function add(from: string, name: string): void {
    const at = find(locked, from, name);
    if (found.has(at)) return;
    found.add(at);
    for (const next of Object.keys(locked[at]?.dependencies ?? {})) add(at, next);
  }
  for (const name of names) add(place, name);
  return [...found].sort();
}

/** Typings, source maps, prose: nothing that Node loads. Licences stay: they ask to be passed on. */
const UNREAD = /\.(?:ts|mts|cts|map|md|markdown|html|flow|yml|yaml|tgz|snap|min\.js|umd\.js)$/i;
const LICENCE = /^(?:licen[cs]e|notice|copying)/i;
/** At the top of a package: tests, prose, and builds of the same code for browsers and bundlers. */
const UNUSED_FOLDERS = new Set(
  'test tests __tests__ docs example examples bench benchmark benchmarks dist-es dist-types browser .github .vscode src'.split(
    ' ',
  ),
);

/**
 * Whether a file of a package goes into the image.
 * @param path within the package, with slashes
 * @param main the package's `main`: a folder is kept when Node starts there
 */
export function isLoaded(path: string, main: string): boolean {
  const parts = path.split('/');
  const [top = '', ...below] = parts;
  if (below.length > 0 && UNUSED_FOLDERS.has(top) && !main.replace(/^\.\//, '').startsWith(`${top}/`))
    return false;
  return LICENCE.test(parts.at(-1) ?? '') || !UNREAD.test(path);
}
