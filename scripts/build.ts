/**
 * Owns `npm run build`: what the images run, as plain JavaScript, one folder an image below dist/ (or --into FOLDER). Arguments name
 * images; default: all.
 * Invariant: a folder holds its entries, what they import, and the packages that those ask for, and runs without anything else.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { closureOf, isLoaded, type LockedPackages, packageOf } from './image/packages.ts';

/** The sources that an image starts; what is started by its path alone is an entry too. */
const ENTRIES: Record<string, string[]> = {
  sidecar: [
    'sidecar/pod.ts',
    'sidecar/certificate-maker.ts',
    'sidecar/config/reader.ts',
    'sidecar/credential/fetch-token.ts',
    'sidecar/identity/fetch-keys.ts',
  ],
  operator: ['operator/main.ts'],
};
const WORKSPACES = ['recording', 'sidecar', 'operator'];
const SCOPE = '@mcp-recorder/';
const ROOT = path.resolve(import.meta.dirname, '..');
const IMPORTS = /^(?:import|export)\s[^'"`;]*?from\s*'([^']+)'|^import\s*'([^']+)'|\bimport\('([^']+)'\)/gm;

interface Manifest {
  name: string;
  version: string;
  license: string;
  exports?: Record<string, string>;
}

const { values, positionals } = parseArgs({
  options: { into: { type: 'string', default: path.join(ROOT, 'dist') } },
  allowPositionals: true,
});
for (const image of positionals.length > 0 ? positionals : Object.keys(ENTRIES)) {
  const entries = ENTRIES[image];
  if (entries === undefined) {
    throw new Error(`there is no image ${image}; there are: ${Object.keys(ENTRIES).join(', ')}`);
  }
  build(image, path.resolve(values.into, image), entries);
}

function build(image: string, folder: string, entries: readonly string[]): void {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  compile(folder, entries);
  const workspaces = fs.readdirSync(folder);
  const { packages } = JSON.parse(fs.readFileSync(path.join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: LockedPackages;
  };
  fs.mkdirSync(path.join(folder, 'node_modules', SCOPE), { recursive: true });
  const places = new Set<string>();
  for (const workspace of workspaces) {
    adaptManifest(folder, workspace);
    for (const place of closureOf(packages, workspace, packagesOf(folder, workspace))) places.add(place);
  }
  const carried = [...places].map((place) => ({ place, bytes: copyPackage(folder, place) }));
  fs.copyFileSync(path.join(ROOT, 'LICENSE'), path.join(folder, 'LICENSE'));
  report(image, folder, workspaces, carried);
}

/** The entries and all of ours that they import, without comments: their text stays in the memory of the process that runs it. */
function compile(folder: string, entries: readonly string[]): void {
  const project = path.join(folder, 'tsconfig.json');
  const settings = {
    extends: path.join(ROOT, 'tsconfig.json'),
    compilerOptions: {
      noEmit: false,
      rewriteRelativeImportExtensions: true,
      removeComments: true,
      rootDir: ROOT,
      outDir: folder,
      paths: sourcePaths(),
      typeRoots: [path.join(ROOT, 'node_modules/@types')],
    },
    include: [],
    files: entries.map((entry) => path.join(ROOT, entry)),
  };
  fs.writeFileSync(project, JSON.stringify(settings));
  try {
    execFileSync(path.join(ROOT, 'node_modules/.bin/tsc'), ['-p', project], { stdio: 'inherit' });
  } finally {
    fs.rmSync(project);
  }
}

/** The workspaces' exports as paths: what is found in node_modules is taken for somebody else's and not compiled. */
function sourcePaths(): Record<string, string[]> {
  const paths: Record<string, string[]> = {
    // As in tsconfig.json, whose paths these replace.
    'kubernetes-types/*': [path.join(ROOT, 'node_modules/kubernetes-types/*.d.ts')],
  };
  for (const workspace of WORKSPACES) {
    const { name, exports = {} } = manifestOf(workspace);
    for (const [from, to] of Object.entries(exports)) {
      paths[path.posix.join(name, from)] = [path.join(ROOT, workspace, to)];
    }
  }
  return paths;
}

function manifestOf(workspace: string): Manifest {
  return JSON.parse(fs.readFileSync(path.join(ROOT, workspace, 'package.json'), 'utf8')) as Manifest;
}

/** The workspace's package.json with its exports led to JavaScript, and the workspace where Node finds it by its name. */
function adaptManifest(folder: string, workspace: string): void {
  const { name, version, license, exports = {} } = manifestOf(workspace);
  const compiled = Object.fromEntries(
    Object.entries(exports).map(([from, to]) => [from, to.replace(/\.ts$/, '.js')]),
  );
  const text = JSON.stringify({ name, version, license, type: 'module', exports: compiled }, null, 2);
  fs.writeFileSync(path.join(folder, workspace, 'package.json'), `${text}\n`);
  fs.symlinkSync(path.join('../..', workspace), path.join(folder, 'node_modules', name));
}

/** The packages of others that the compiled sources of a workspace import. */
function packagesOf(folder: string, workspace: string): Set<string> {
  const names = new Set<string>();
  for (const file of filesBelow(path.join(folder, workspace)).filter((name) => name.endsWith('.js'))) {
    for (const [, ...specifiers] of fs.readFileSync(file, 'utf8').matchAll(IMPORTS)) {
      const name = packageOf(specifiers.find((one) => one !== undefined) ?? '.');
      if (name !== null && !name.startsWith(SCOPE)) names.add(name);
    }
  }
  return names;
}

/** @returns the bytes that were copied */
function copyPackage(folder: string, place: string): number {
  const source = path.join(ROOT, place);
  const { main = 'index.js' } = JSON.parse(fs.readFileSync(path.join(source, 'package.json'), 'utf8')) as {
    main?: string;
  };
  let bytes = 0;
  for (const file of filesBelow(source)) {
    const name = path.relative(source, file);
    // Packages within it are places of their own.
    if (name.startsWith('node_modules/') || !isLoaded(name, main)) continue;
    const target = path.join(folder, place, name);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.copyFileSync(file, target);
    bytes += fs.statSync(target).size;
  }
  return bytes;
}

/** Plain files, sorted. */
function filesBelow(folder: string): string[] {
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
}

function report(
  image: string,
  folder: string,
  workspaces: readonly string[],
  carried: readonly { place: string; bytes: number }[],
): void {
  const kB = (bytes: number) => `${Math.round(bytes / 1000).toLocaleString('en')} kB`;
  const sum = (files: readonly string[]) => files.reduce((bytes, file) => bytes + fs.statSync(file).size, 0);
  const ours = sum(
    workspaces
      .flatMap((workspace) => filesBelow(path.join(folder, workspace)))
      .filter((file) => !file.includes('/node_modules/')),
  );
  const theirs = carried.reduce((bytes, one) => bytes + one.bytes, 0);
  const largest = carried
    .toSorted((a, b) => b.bytes - a.bytes)
    .slice(0, 8)
    .map(({ place, bytes }) => `${place.replace(/^.*node_modules\//, '')} ${kB(bytes)}`);
  process.stdout.write(
    `${image}: ours ${kB(ours)} (${workspaces.join(', ')}), ${carried.length} packages ${kB(theirs)}\n` +
      `  largest: ${largest.join(', ')}\n`,
  );
}
