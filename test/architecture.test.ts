/**
 * The import rules of the project, read from the sources themselves. No comment switches them off.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '..');
const WORKSPACES = ['recording', 'sidecar', 'cli', 'operator'] as const;
/** Folders whose code is a function of its arguments. */
const PURE = ['recording/format', 'recording/proof', 'sidecar/exchange'];
/** The same in the operator: what is wanted of the cluster, what becomes of pods and Services. */
const OPERATOR_PURE = ['operator/desired', 'operator/webhook/inject', 'operator/webhook/services'];
/** Files outside those folders that they may use; of the settings the types only, since the file reads them. */
const OPERATOR_WORDS = ['operator/api/recorded-mcp-server.ts', 'operator/naming.ts', 'operator/settings.ts'];
/** A file outside of them that they may use: the words of the configuration, which imports nothing. */
const PURE_WORDS = 'sidecar/config/access.ts';
/** What a pure folder may take from the platform: computation, no input and output. */
const PURE_PLATFORM = new Set(['node:crypto', 'node:buffer', 'node:zlib']);
/** Packages that only compute. */
const PURE_PACKAGES = new Set([
  'zod',
  '@marcbachmann/cel-js',
  're2js',
  '@secretlint/secretlint-rule-preset-recommend',
]);
/** Which workspaces each may import. */
const MAY_IMPORT: Record<string, string[]> = {
  recording: [],
  sidecar: ['@mcp-recorder/recording'],
  cli: ['@mcp-recorder/recording', '@mcp-recorder/sidecar'],
  operator: ['@mcp-recorder/recording', '@mcp-recorder/sidecar/config'],
};
const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s[^'"`;]*?from\s*['"]([^'"]+)['"]|(?:^|\n)\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/g;

const TYPE_IMPORT = /(?:^|\n)\s*(?:import|export)\s+type\s[^'"`;]*?from\s*['"][^'"]+['"]/g;

function sources(folder: string): string[] {
  return readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.includes('node_modules'))
    .map((name) => path.join(folder, name));
}

function importsOf(file: string): string[] {
  const text = readFileSync(path.join(ROOT, file), 'utf8');
  return [...text.matchAll(IMPORT)].map((match) => (match[1] ?? match[2] ?? match[3]) as string);
}

/** Where an import leads: a path in the project, or the package or platform module. */
function resolve(file: string, specifier: string): string {
  return specifier.startsWith('.') ? path.join(path.dirname(file), specifier) : specifier;
}

/** Every import of a folder that breaks `allowed`, as `file -> import`. */
function violations(folder: string, allowed: (file: string, target: string) => boolean): string[] {
  return sources(folder).flatMap((file) =>
    importsOf(file)
      .map((specifier) => resolve(file, specifier))
      .filter((target) => !allowed(file, target))
      .map((target) => `${file} -> ${target}`),
  );
}

const DYNAMIC_IMPORT = /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g;

/**
 * All that a module loads, and what that loads in turn: files of ours, and names of packages and platform modules.
 * @param when at its start, or ever
 */
function loadedBy(entry: string, when: 'at start' | 'ever'): string[] {
  const seen = new Set([entry]);
  for (const file of seen) {
    if (!file.endsWith('.ts')) continue;
    const source = readFileSync(path.join(ROOT, file), 'utf8').replaceAll(TYPE_IMPORT, '');
    const text = when === 'ever' ? source : source.replaceAll(DYNAMIC_IMPORT, '');
    for (const match of text.matchAll(IMPORT)) {
      const target = resolve(file, (match[1] ?? match[2] ?? match[3]) as string);
      seen.add(target.replace(/^@mcp-recorder\/(\w+)\/(.*)$/, '$1/$2.ts'));
    }
  }
  return [...seen];
}

describe('the import rules', () => {
  it('are read from files that exist', () => {
    for (const folder of [...WORKSPACES, ...PURE]) expect(sources(folder).length, folder).toBeGreaterThan(3);
    expect(importsOf('sidecar/main.ts')).toContain('./gate.ts');
  });

  it.each(WORKSPACES)('%s leaves its folder only through the packages it may use', (workspace) => {
    const ours = (target: string) => target.startsWith('@mcp-recorder/') || target.startsWith('mcp-recorder');
    expect(
      violations(workspace, (_, target) => {
        if (ours(target))
          return (MAY_IMPORT[workspace] as string[]).some(
            (name) => target === name || target.startsWith(`${name}/`),
          );
        const inProject = !target.startsWith('node:') && target.includes('/') && target.endsWith('.ts');
        return !inProject || target.startsWith(`${workspace}/`);
      }),
    ).toEqual([]);
  });

  it.each(PURE)('%s imports no input or output', (folder) => {
    expect(
      violations(folder, (_, target) => {
        if (target.startsWith('node:')) return PURE_PLATFORM.has(target);
        if (target === PURE_WORDS) return importsOf(target).length === 0;
        if (target.endsWith('.ts')) return PURE.some((pure) => target.startsWith(`${pure}/`));
        return /^@mcp-recorder\/recording\/(format|proof)\//.test(target) || PURE_PACKAGES.has(target);
      }),
    ).toEqual([]);
  });

  it.each(OPERATOR_PURE)('%s imports no input or output', (folder) => {
    expect(
      violations(folder, (_, target) => {
        if (target.startsWith('node:')) return PURE_PLATFORM.has(target);
        if (!target.endsWith('.ts')) return /^(@mcp-recorder\/|kubernetes-types\/|yaml$)/.test(target);
        return OPERATOR_WORDS.includes(target) || OPERATOR_PURE.some((pure) => target.startsWith(`${pure}/`));
      }),
    ).toEqual([]);
    const values = /import (?!type )[^;]*from '(?:\.\.\/)+settings\.ts'/;
    expect(
      sources(folder).filter((file) => values.test(readFileSync(path.join(ROOT, file), 'utf8'))),
    ).toEqual([]);
  });

  it('lets the command line start the sidecar only through its entry and its configuration', () => {
    const targets = sources('cli')
      .flatMap(importsOf)
      .filter((target) => target.startsWith('@mcp-recorder/sidecar'));
    expect(targets.filter((target) => !/^@mcp-recorder\/sidecar(\/config\/[a-z-]+)?$/.test(target))).toEqual(
      [],
    );
  });

  it('loads nothing that the sidecar must not carry', () => {
    const heavy = ['@kubernetes/client-node', 'commander', 'vitest', '@aws-sdk/client-s3'];
    expect(violations('sidecar', (_, target) => !heavy.includes(target))).toEqual([]);
  });

  it('loads into the recorder of a pod nothing that stays in its memory for little use', () => {
    const heavy = [
      'zod',
      'yaml',
      '@peculiar/x509',
      'reflect-metadata',
      'commander',
      'undici',
      'openid-client',
      'node:http',
      'node:tls',
    ];
    const loaded = loadedBy('sidecar/pod.ts', 'ever');
    expect(loaded).toContain('@aws-sdk/client-s3');
    expect(loaded).toContain('recording/proof/seal.ts');
    expect(loaded.filter((target) => heavy.includes(target) || target.startsWith('recording/read/'))).toEqual(
      [],
    );
  });

  it('loads into the recorder of a pod only when it is configured what verifies tokens, rules and masks', () => {
    const forSome = [
      'jose/jwt/verify',
      '@marcbachmann/cel-js',
      're2js',
      '@secretlint/secretlint-rule-preset-recommend',
    ];
    const ever = loadedBy('sidecar/pod.ts', 'ever');
    expect(forSome.filter((target) => !ever.includes(target))).toEqual([]);
    expect(
      loadedBy('sidecar/pod.ts', 'at start').filter(
        (target) => forSome.includes(target) || target.startsWith('jose'),
      ),
    ).toEqual([]);
    const deciding = ever
      .filter((file) => file.endsWith('.ts'))
      .filter((file) => readFileSync(path.join(ROOT, file), 'utf8').search(DYNAMIC_IMPORT) >= 0);
    expect(deciding.sort()).toEqual(['sidecar/live/live.ts', 'sidecar/load-policy.ts']);
  });

  it('loads into the recorder of a pod what serves readers only when the first one has shown its token', () => {
    const atStart = loadedBy('sidecar/pod.ts', 'at start');
    expect(atStart).toContain('sidecar/live/live.ts');
    expect(loadedBy('sidecar/pod.ts', 'ever')).toContain('sidecar/live/readers.ts');
    expect(atStart.filter((file) => /live\/(?:readers|held-lines)\.ts$/.test(file))).toEqual([]);
  });

  it('loads what fetches keys only into a process that ends, and what verifies tokens only where tokens are looked at', () => {
    expect(loadedBy('sidecar/identity/fetch-keys.ts', 'at start')).toContain('openid-client');
    const looking = loadedBy('sidecar/identity/create-identity.ts', 'at start');
    expect(looking).toContain('jose/jwt/verify');
    expect(looking.filter((target) => target === 'jose' || target === 'openid-client')).toEqual([]);
    expect(
      loadedBy('sidecar/identity/anonymous.ts', 'at start').filter((target) => target.startsWith('jose')),
    ).toEqual([]);
  });

  it('keeps file primitives of the spool in one module', () => {
    const fileModules = /^(node:)?fs(\/promises)?$/;
    const users = sources('sidecar').filter((file) =>
      importsOf(file).some((target) => fileModules.test(target)),
    );
    expect(users.sort()).toEqual([
      // Reads what is mounted, and writes nothing.
      'sidecar/config/delivered.ts',
      'sidecar/config/load.ts',
      // Reads what was written for it, and writes nothing.
      'sidecar/credential/secret-files.ts',
      // Reads the token of the pod for each answer.
      'sidecar/link.ts',
      // Asks the kernel.
      'sidecar/sockets.ts',
      'sidecar/spool/files.ts',
      'sidecar/spool/lock.ts',
    ]);
  });
});
