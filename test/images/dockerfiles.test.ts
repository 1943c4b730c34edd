import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { readStart } from '../../scripts/image/dockerfile.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const read = (file: string) => fs.readFileSync(path.join(ROOT, file), 'utf8');
const { workspaces } = JSON.parse(read('package.json')) as { workspaces: string[] };

describe.each([
  { name: 'sidecar', entry: 'sidecar/pod', user: '64999:64999' },
  { name: 'operator', entry: 'operator/main', user: '65532:65532' },
])('the image of the $name', ({ name, entry, user }) => {
  const dockerfile = read(`Dockerfile.${name}`);
  const start = readStart(dockerfile);

  it('starts what the build makes, as a user that is not root', () => {
    expect(start.command[0]).toBe('node');
    expect(start.command.at(-1)).toBe(`/app/${entry}.js`);
    expect(fs.existsSync(path.join(ROOT, `${entry}.ts`))).toBe(true);
    expect(start.user).toBe(user);
    expect(dockerfile).toContain(`COPY --from=build /src/dist/${name} /app\n`);
  });

  it('is built with the dependencies of the lock file, for which npm asks every workspace', () => {
    for (const workspace of workspaces)
      expect(dockerfile).toContain(`COPY ${workspace}/package.json ${workspace}/\n`);
    expect(dockerfile).toContain('RUN npm ci --ignore-scripts');
  });

  it('names no base image but by argument', () => {
    const stages = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image);
    expect(stages).toEqual(['${BUILD_IMAGE}', '${BASE_IMAGE}']);
  });
});

it('the image of the sidecar starts Node with the flags that the first line of its entry has', () => {
  const [, ...flags] = readStart(read('Dockerfile.sidecar')).command.slice(0, -1);
  const [first = ''] = read('sidecar/pod.ts').split('\n', 1);
  expect(flags).toEqual(first.split(' ').filter((word) => word.startsWith('--')));
});

it('copies into the context of a build nothing that npm installed', () => {
  expect(read('.dockerignore').split('\n')).toContain('**/node_modules');
});
