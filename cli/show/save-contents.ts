/**
 * Owns saving what results hold beside text: images, audio, binary resources.
 * Invariants: the names of files come from the recording's ids and a fixed list of endings, never from what a server chose; no file is
 * ever overwritten.
 */
import fs from 'node:fs/promises';
import path from 'node:path';
import type { ExchangeView } from '@mcp-recorder/recording/read/exchange-view';

const ENDINGS: Record<string, string> = {
  'image/png': 'png',
  'image/jpeg': 'jpg',
  'image/gif': 'gif',
  'image/webp': 'webp',
  'image/svg+xml': 'svg',
  'audio/wav': 'wav',
  'audio/mpeg': 'mp3',
  'audio/ogg': 'ogg',
  'application/pdf': 'pdf',
};

/** A piece of a result that is no text. */
export interface Content {
  mimeType: string;
  /** Base64. */
  data: string;
}

/** The contents of a result that are no text (MCP, tools/call and resources/read). */
export function contentsOf(result: unknown): Content[] {
  const lists = [member(result, 'content'), member(result, 'contents')].filter(Array.isArray) as unknown[][];
  return lists.flat().flatMap((item) => {
    const resource = member(item, 'resource');
    const holder = resource === undefined ? item : resource;
    const data = member(holder, 'data') ?? member(holder, 'blob');
    const mimeType = member(holder, 'mimeType');
    if (typeof data !== 'string') return [];
    return [{ data, mimeType: typeof mimeType === 'string' ? mimeType : 'application/octet-stream' }];
  });
}

/** Saves the contents of an exchange's results. @returns a sentence for each, for people */
export async function saveContents({ steps }: ExchangeView, directory: string): Promise<string[]> {
  const said: string[] = [];
  for (const { call, answer } of steps) {
    for (const [n, { mimeType, data }] of contentsOf(answer?.result).entries()) {
      const ending = Object.hasOwn(ENDINGS, mimeType) ? ENDINGS[mimeType] : 'bin';
      // Also who can write into the store chooses no other place.
      const name = call.operation.replaceAll(/[^\w.]/g, '_').replace(/^\.+/, '');
      const file = path.join(directory, `${name}-${n + 1}.${ending}`);
      await fs.mkdir(directory, { recursive: true });
      try {
        await fs.writeFile(file, Buffer.from(data, 'base64'), { flag: 'wx' });
        said.push(`Saved ${file} (${mimeType}).`);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        said.push(`${file} is there already: left as it is.`);
      }
    }
  }
  return said;
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
