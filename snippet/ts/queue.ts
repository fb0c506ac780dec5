import { clickId, take } from "./click";
import { request } from "./net";
import { trackName } from "./site";
import { settings } from "./tag";
import { after } from "./time";

/** How our keys begin. */
export const keys = trackName + ".";
/** Whether what waits may outlive the page. */
let mayStore = false;
/** What has yet to reach the edge, once somebody has looked. The keys sort by time. */
let place: Record<string, string> | undefined;
/** Tells apart what begins to wait in one millisecond. */
let count = 1e3;
const taken: Record<string, boolean | undefined> = {};

/** Whether this browser may store something. What waited in memory for consent, or in the store with it, is not sent then. */
export const allowStore = (may: boolean): void => {
  if (may !== mayStore) {
    mayStore = may;
    place = undefined;
  }
};

const waiting = (): Record<string, string> => {
  if (!place) {
    place = {};
    try {
      if (mayStore) place = localStorage || place;
    } catch {
      // nothing can be stored here
    }
  }
  return place;
};

/** The keys of what waits. */
export const queued = (): string[] =>
  Object.keys(waiting())
    .filter((key) => key.startsWith(keys))
    .sort();

/** Sends what waits, in its order, as far as the edge can be reached. What it will not take later either does not wait any longer. */
const attempt = async (): Promise<void> => {
  for (const key of queued()) {
    let said: Awaited<ReturnType<typeof request>> | [] = [];
    try {
      const { name, fields } = JSON.parse(waiting()[key]!);
      const isClick = name === trackName;
      // A lead may have waited together with its click.
      if (!isClick) fields.click_id ||= clickId();
      if (isClick || fields.click_id) said = await request(name, { programId: settings.affonso, ...fields });
    } catch {
      // it is something else under a name like ours
    }
    if (!said) return;
    taken[key] = said[0];
    delete waiting()[key];
    take(said[1]);
  }
};

let flushing: Promise<unknown> | undefined;
export const flush = (): Promise<unknown> => (flushing = after(attempt, flushing));

/** Sends it, now or when the edge can be reached. Whether it was now. */
export const deliver = async (name: string, fields: object): Promise<boolean> => {
  const key = keys + Date.now() + count++;
  // No array: old libraries have them written otherwise.
  const item = JSON.stringify({ name, fields });
  try {
    waiting()[key] = item;
  } catch {
    // the page has filled the store
    place = { [key]: item };
  }
  await flush();
  return !!taken[key];
};
