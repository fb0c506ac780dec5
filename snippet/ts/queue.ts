import { clickId, take } from "./click";
import { json, request } from "./net";
import { trackName } from "./site";
import { settings } from "./tag";

/** How our keys begin. */
export const keys = trackName + ".";
/** What has yet to reach the edge: in memory, or where it outlives the page. The keys sort by time. */
let waiting: Record<string, string> = {};
/** Tells apart what begins to wait in one millisecond. */
let count = 1e3;

/** From now on this browser may store something. What waited for consent in memory is not sent without it. */
export const allowStore = (): void => {
  try {
    waiting = localStorage || waiting;
  } catch {
    // nothing can be stored here
  }
};

/** Whether the edge took it. What it will not take later either does not wait any longer. */
const send = async (key: string): Promise<boolean> => {
  const { name, fields } = JSON.parse(waiting[key]!);
  // A lead may have waited together with its click.
  const response = await request([name], { programId: settings.affonso, click_id: clickId(), ...fields });
  if (response && response.status !== 429 && response.status < 500) delete waiting[key];
  if (response?.ok && name === trackName) {
    const answer = await json(response);
    take(answer?.cid, answer?.data);
  }
  return !!response?.ok;
};

/** Sends it, now or when the edge can be reached. Whether it was now. */
export const deliver = (name: string, fields: object): Promise<boolean> => {
  const key = keys + Date.now() + count++;
  waiting[key] = JSON.stringify({ name, fields });
  return send(key);
};

/** Sends what waits, in its order, as far as the edge can be reached. */
export const flush = async (): Promise<boolean> => {
  for (const key of Object.keys(waiting).sort()) {
    if (key.startsWith(keys) && !(await send(key)) && waiting[key]) return false;
  }
  return true;
};
