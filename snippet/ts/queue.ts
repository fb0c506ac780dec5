import { clickId, take } from "./click";
import { request } from "./net";
import { trackName } from "./site";
import { settings } from "./tag";

/** How our keys begin. */
export const keys = trackName + ".";
/** What has yet to reach the edge: in memory, or where it outlives the page. The keys sort by time. */
let waiting: Record<string, string> = {};
/** Tells apart what begins to wait in one millisecond. */
let count = 1e3;
const taken: Record<string, boolean> = {};

/** From now on this browser may store something. What waited for consent in memory is not sent without it. */
export const allowStore = (): void => {
  try {
    waiting = localStorage || waiting;
  } catch {
    // nothing can be stored here
  }
};

/** The keys of what waits. */
export const queued = (): string[] =>
  Object.keys(waiting)
    .filter((key) => key.startsWith(keys))
    .sort();

/** Sends what waits, in its order, as far as the edge can be reached. What it will not take later either does not wait any longer. */
const attempt = async (): Promise<void> => {
  for (const key of queued()) {
    const { name, fields } = JSON.parse(waiting[key]!);
    // A lead may have waited together with its click.
    fields.click_id ||= clickId();
    const response = name === trackName || fields.click_id ? await request(name, { programId: settings.affonso, ...fields }) : ({} as Response);
    if (!response || response.status === 429 || response.status >= 500) return;
    taken[key] = response.ok;
    delete waiting[key];
    // An answer that is not read to its end keeps its connection.
    const answer = await response.json?.().catch(() => {});
    take(answer?.cid, answer?.data);
  }
};

let flushing: Promise<unknown> = Promise.resolve();
export const flush = (): Promise<unknown> => (flushing = flushing.then(attempt).catch(() => {}));

/** Sends it, now or when the edge can be reached. Whether it was now. */
export const deliver = async (name: string, fields: object): Promise<boolean> => {
  const key = keys + Date.now() + count++;
  const item = JSON.stringify({ name, fields });
  try {
    waiting[key] = item;
  } catch {
    // the page has filled the store
    waiting = { [key]: item };
  }
  await flush();
  return !!taken[key];
};
