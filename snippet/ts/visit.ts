import { type Fields, canRefer, read } from "./address";
import { take } from "./click";
import { json, request } from "./net";
import { trackName } from "./site";
import { consentRequired, cookieDuration, programId } from "./tag";

/** undefined: nobody has to ask. */
let hasConsent = consentRequired ? false : undefined;
/** The address that was last read, and what it held. */
let seen: string | undefined;
let fields: Fields | undefined;
/** The click that was recorded without consent. */
let pendingId: string | undefined;
let granting: Promise<boolean> | undefined;

/** The visit under way. It never rejects: false when the edge could not be reached. */
export let visiting: Promise<boolean> = Promise.resolve(true);

const next = (step: () => Promise<boolean>): Promise<boolean> => (visiting = visiting.then(step).catch(() => false));

export const visit = (): Promise<boolean> => next(record);

/** Consent was given. Once it has reached the edge, further calls change nothing. */
export const grant = (): Promise<boolean> =>
  (granting ||= visiting
    .then(() => {
      if (consentRequired) {
        hasConsent = true;
        return next(() => (fields ? send() : record()));
      }
      return visiting;
    })
    .then((granted) => {
      if (!granted) granting = undefined;
      return granted;
    }));

const record = async (): Promise<boolean> => {
  if (location.href !== seen && canRefer()) {
    seen = location.href;
    fields = await read();
    return !fields || send(true);
  }
  return true;
};

/** Records the click. Where the edge cannot be reached it is tried once more when the network or the page is back. */
const send = async (again?: boolean): Promise<boolean> => {
  const response = await request([trackName], {
    programId,
    referrer: document.referrer.slice(0, 2000),
    cookieDuration,
    hasConsent,
    upgradeClickId: hasConsent ? pendingId : undefined,
    ...fields,
  });
  const answer = response?.ok && (await json(response));
  if (answer) {
    take(answer.cid, answer.data);
    if (hasConsent === false && answer.cid) handOver((pendingId = "" + answer.cid));
  } else if (again) {
    const retry = (): void => {
      if (again) next(() => send());
      again = false;
    };
    addEventListener("online", retry);
    addEventListener("pageshow", retry);
  }
  return !!answer;
};

/** Without consent nothing is stored: the address carries the click. */
const handOver = (id: string): void => {
  const url = new URL(location.href);
  if (!/[?&]affonso_id=/.test(url.search)) {
    url.search += (url.search ? "&" : "?") + "affonso_id=" + encodeURIComponent(id);
    history.replaceState(history.state, "", url);
    seen = location.href;
  }
};
