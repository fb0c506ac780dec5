import { type Fields, canRefer, read } from "./address";
import { clickId } from "./click";
import { allowStore, deliver, flush, queued } from "./queue";
import { trackName } from "./site";
import { consentRequired, optedOut } from "./tag";

/** undefined: nobody has to ask. */
let hasConsent = consentRequired || optedOut ? false : undefined;
/** The address that was last read, and what it held. */
let seen: string | undefined;
let fields: Fields | null | undefined;

/** What is being read. */
export let reading: Promise<unknown> = Promise.resolve();

/** Looks at the address. One that only hands over the click that is known holds nothing new. */
const look = async (): Promise<void> => {
  const { href } = location;
  if (href !== seen && canRefer() && !href.includes("affonso_id=" + clickId())) {
    seen = href;
    fields = await read();
    if (fields) report();
  }
};
export const visit = (): void => {
  reading = reading.then(look).catch(() => {});
};

/** Sends what waits, and looks at the address. */
export const resume = (): void => {
  if (hasConsent !== false) allowStore();
  flush();
  visit();
};

/** Consent was given: what was recorded before it becomes a whole click. Whether all has reached the edge. */
export const grant = (): Promise<boolean> =>
  reading.then(flush).then(async () => {
    if (hasConsent === false && !optedOut) {
      hasConsent = true;
      allowStore();
      if (fields) report(clickId());
    }
    await flush();
    return !queued()[0];
  });

/** Consent was withdrawn. */
export const refuse = (): void => {
  hasConsent = false;
};

/** Records the click. */
const report = (upgradeClickId?: string): Promise<unknown> =>
  deliver(trackName, { referrer: document.referrer, hasConsent, upgradeClickId, ...fields });
