/**
 * Owns fetching ahead: while one item is worked on, those that follow are on their way.
 * Invariant: what is ahead is bounded by number and by bytes, and whoever stops early leaves no fetch running.
 */

export interface ReadAheadOptions<Item, Fetched> {
  fetch(item: Item, signal: AbortSignal): Promise<Fetched>;
  /** Bytes that the item holds once it is fetched. */
  sizeOf(item: Item): number;
  /** The most that may be ahead of the one that is worked on. */
  maxItems: number;
  /** As `maxItems`; an item larger than this is fetched alone. */
  maxBytes: number;
  signal?: AbortSignal | undefined;
}

interface Ahead<Item, Fetched> {
  item: Item;
  size: number;
  fetching: Promise<Fetched>;
}

/**
 * The items with what was fetched for each, in their order. The first is fetched alone and each one that is taken lets one more
 * ahead, so that who needs only the first few asks for few.
 * @throws what `fetch` throws, when the item's turn comes
 */
export async function* readAhead<Item, Fetched>(
  items: AsyncIterable<Item>,
  options: ReadAheadOptions<Item, Fetched>,
): AsyncIterable<{ item: Item; fetched: Fetched }> {
  const { fetch, sizeOf, maxItems, maxBytes } = options;
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  const ahead: Ahead<Item, Fetched>[] = [];
  let bytes = 0;
  let taken = 0;

  async function take({ item, size, fetching }: Ahead<Item, Fetched>) {
    const fetched = await fetching;
    bytes -= size;
    taken += 1;
    return { item, fetched };
  }

  try {
    for await (const item of items) {
      const size = sizeOf(item);
      for (let first = ahead[0]; first !== undefined; first = ahead[0]) {
        if (ahead.length <= Math.min(maxItems, taken) && bytes + size <= maxBytes) break;
        ahead.shift();
        yield await take(first);
      }
      const fetching = fetch(item, signal);
      // An error is met when its turn comes; until then it must not end the process as unhandled.
      fetching.catch(() => {});
      ahead.push({ item, size, fetching });
      bytes += size;
    }
    for (let first = ahead.shift(); first !== undefined; first = ahead.shift()) yield await take(first);
  } finally {
    stop.abort();
  }
}
