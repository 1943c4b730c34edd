import { describe, expect, it } from 'vitest';
import { closureOf, isLoaded, type LockedPackages, packageOf } from '../../scripts/image/packages.ts';

const LOCKED: LockedPackages = {
  '': {},
  sidecar: { dependencies: { log: '1' } },
  'node_modules/log': { dependencies: { text: '^1', '@scope/sum': '^1' } },
  'node_modules/log/node_modules/text': { dependencies: { log: '^1', tables: '^1' } },
  'node_modules/log/node_modules/tables': {},
  'node_modules/text': {},
  'node_modules/tables': {},
  'node_modules/@scope/sum': {},
  'node_modules/for-tests': {},
};

describe('the packages of an image', () => {
  it('are those that are imported, and all that these ask for, nearest first', () => {
    expect(closureOf(LOCKED, 'sidecar', ['log'])).toEqual([
      'node_modules/@scope/sum',
      'node_modules/log',
      'node_modules/log/node_modules/tables',
      'node_modules/log/node_modules/text',
    ]);
  });

  it('stop the build when the lock file lacks one', () => {
    expect(() => closureOf(LOCKED, 'sidecar', ['absent'])).toThrow(
      'sidecar needs absent, and the lock file has none for it',
    );
  });

  it('are named by the beginning of what is imported', () => {
    expect(packageOf('zod/mini')).toBe('zod');
    expect(packageOf('@smithy/core/client')).toBe('@smithy/core');
    expect(packageOf('./main.js')).toBeNull();
    expect(packageOf('node:fs')).toBeNull();
  });
});

describe('the files of a package in an image', () => {
  it.each([
    ['dist/doc/Document.js', 'dist/index.js'],
    ['dist-cjs/index.js', './dist-cjs/index.js'],
    ['src/index.js', 'src/index.js'],
    ['package.json', 'index.js'],
    ['data/table.json', 'index.js'],
    ['index.mjs', 'index.cjs'],
  ])('%s goes in', (path, main) => {
    expect(isLoaded(path, main)).toBe(true);
  });

  it.each(['LICENSE', 'LICENSE.md', 'license.txt', 'NOTICE.md', 'lib/COPYING.md'])(
    '%s goes in: it asks to be passed on',
    (path) => {
      expect(isLoaded(path, 'index.js')).toBe(true);
    },
  );

  it.each([
    ['index.d.ts', 'index.js'],
    ['index.d.cts', 'index.js'],
    ['index.js.map', 'index.js'],
    ['README.md', 'index.js'],
    ['docs/api.js', 'index.js'],
    ['test/all.js', 'index.js'],
    ['dist-es/index.js', './dist-cjs/index.js'],
    ['src/index.js', 'lib/index.js'],
  ])('%s stays out', (path, main) => {
    expect(isLoaded(path, main)).toBe(false);
  });
});
