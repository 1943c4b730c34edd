/**
 * Owns what a Dockerfile says of how its image starts, for those who start the content of an image without one.
 */

export interface ImageStart {
  /** `uid:gid`. */
  user: string;
  environment: Record<string, string>;
  /** Program and arguments. */
  command: string[];
}

/**
 * Reads the last stage of a Dockerfile: USER, ENV (one variable an instruction) and ENTRYPOINT (as a JSON list).
 * @throws Error when it says not all of that
 */
export function readStart(dockerfile: string): ImageStart {
  const lines = dockerfile.split('\n');
  const stage = lines.slice(lines.findLastIndex((line) => line.startsWith('FROM ')) + 1);
  const values = (instruction: string) =>
    stage
      .filter((line) => line.startsWith(`${instruction} `))
      .map((line) => line.slice(instruction.length + 1));
  const [user] = values('USER');
  const [entryPoint] = values('ENTRYPOINT');
  if (user === undefined || entryPoint === undefined) {
    throw new Error('the last stage of this Dockerfile has no USER or no ENTRYPOINT');
  }
  const environment = values('ENV').map((text) => {
    const at = text.indexOf('=');
    return [text.slice(0, at), text.slice(at + 1)];
  });
  return { user, environment: Object.fromEntries(environment), command: JSON.parse(entryPoint) as string[] };
}
