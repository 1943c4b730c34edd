/**
 * Owns what the image `mcp-everything` is built from: server-everything and the MCP client SDK with all that they depend on, copied from
 * this repository's node_modules. Run as a program it writes that into the folder it is given, for any builder of images.
 * Invariant: what is installed here is what is in the image; nothing is downloaded.
 */
import fs from 'node:fs';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const PACKAGES = ['@modelcontextprotocol/server-everything', '@modelcontextprotocol/client'];
const DOCKERFILE = `ARG BASE_IMAGE=node:26-slim
FROM \${BASE_IMAGE}
WORKDIR /app
COPY node_modules node_modules
CMD ["node_modules/@modelcontextprotocol/server-everything/dist/index.js", "streamableHttp"]
ENTRYPOINT ["node"]
USER 1000:1000
`;

/** Writes a Dockerfile and its context. @param folder is made anew */
export function writeEverythingContext(folder: string): void {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, 'Dockerfile'), DOCKERFILE);
  for (const source of dependencyFolders(PACKAGES)) {
    const nested = path.join(source, 'node_modules');
    fs.cpSync(source, path.join(folder, path.relative(ROOT, source)), {
      recursive: true,
      // Dependencies below a package are copied where they are needed.
      filter: (file) => file !== nested,
    });
  }
}

/** The folders of packages and of everything that they depend on. @throws when one is not installed */
function dependencyFolders(names: readonly string[]): Set<string> {
  const found = new Set<string>();
  const visit = (name: string, from: string) => {
    const folder = packageFolder(name, from);
    if (found.has(folder)) return;
    found.add(folder);
    const { dependencies = {} } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));
    for (const dependency of Object.keys(dependencies)) visit(dependency, folder);
  };
  for (const name of names) visit(name, ROOT);
  return found;
}

/** Where Node finds a package from a folder: in the nearest node_modules at or above it. */
function packageFolder(name: string, from: string): string {
  for (let at = from; at.startsWith(ROOT); at = path.dirname(at)) {
    const folder = path.join(at, 'node_modules', name);
    if (fs.existsSync(path.join(folder, 'package.json'))) return folder;
  }
  throw new Error(`${name}, needed by ${from}, is not installed: npm ci`);
}

if (import.meta.main) writeEverythingContext(path.resolve(process.argv[2] ?? 'mcp-everything'));
