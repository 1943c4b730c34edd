/**
 * Owns the images that suites run: built if need be, put on the node once a run, named as pods name them.
 * Invariant: an image that is built here has its digest in its tag, so no node runs an older one under the same name.
 * On a given cluster nothing is built or loaded: images are CLUSTER_IMAGE_REGISTRY/NAME:CLUSTER_IMAGE_TAG (default: `rig.local`, `1`).
 */
import fs from 'node:fs';
import path from 'node:path';
import { writeEverythingContext } from './everything-context.ts';
import { rigCache, rigScript } from './rig.ts';
import { runCommand } from './run-command.ts';
import { isRig } from './which-cluster.ts';

const REGISTRY = 'rig.local';
const BUILD_MS = 10 * 60_000;
const LOAD_MS = 2 * 60_000;

export interface ImageSource {
  /** Without registry and tag: `mcp-recorder-sidecar`. */
  name: string;
  dockerfile: string;
  context: string;
  /** More for `buildah bud`, as `--build-arg=X=y`. */
  options?: readonly string[];
}

/** Images of the rig's own, from `npm run cluster:build`. */
export async function baseImage(name: 'node26' | 'minio'): Promise<string> {
  if (!isRig()) return givenImage(name);
  // Node is on the node from the start.
  if (name !== 'node26') await load(path.join(rigCache(), 'images-extra', `${name}.tar`));
  return `${REGISTRY}/${name}:1`;
}

let everything: Promise<string> | null = null;

/** An image with server-everything, which it runs on port $PORT at /mcp, and the MCP client SDK, in /app/node_modules. */
export function everythingImage(): Promise<string> {
  everything ??= buildEverything();
  return everything;
}

async function buildEverything(): Promise<string> {
  if (!isRig()) return givenImage('mcp-everything');
  const context = path.join(builtFolder(), 'mcp-everything');
  writeEverythingContext(context);
  return await buildImage({ name: 'mcp-everything', dockerfile: path.join(context, 'Dockerfile'), context });
}

/**
 * Builds an image by its Dockerfile (unchanged steps are taken from the builder's cache) and puts it on the node.
 * @returns its reference
 * @throws with the builder's words
 */
export async function buildImage({ name, dockerfile, context, options = [] }: ImageSource): Promise<string> {
  if (!isRig()) return givenImage(name);
  const archive = path.join(builtFolder(), `${name}.tar`);
  const { stdout } = await runCommand(
    ['bash', rigScript('image'), dockerfile, context, `${REGISTRY}/${name}`, archive, ...options],
    { timeoutMs: BUILD_MS },
  );
  await load(archive);
  return stdout.trim();
}

async function load(archive: string): Promise<void> {
  await runCommand(['bash', rigScript('load-image'), archive], { timeoutMs: LOAD_MS });
}

function givenImage(name: string): string {
  const registry = process.env['CLUSTER_IMAGE_REGISTRY'] || REGISTRY;
  return `${registry}/${name}:${process.env['CLUSTER_IMAGE_TAG'] || '1'}`;
}

function builtFolder(): string {
  const folder = path.join(rigCache(), 'images-built');
  fs.mkdirSync(folder, { recursive: true });
  return folder;
}
