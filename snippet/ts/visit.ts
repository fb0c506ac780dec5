import { type Fields, canRefer, read } from "./address";
import { clickId, looked } from "./click";
import { allowStore, deliver, flush, queued } from "./queue";
import { trackName } from "./site";
import { asked, consentRequired, optedOut } from "./tag";
import { after } from "./time";

/** undefined: nobody has to ask. */
let hasConsent = consentRequired || optedOut ? false : undefined;
/** The addresses that were read: going back to one is no visit. */
const seen: string[] = [];
/** What the last of them held. */
let fields: Fields | 0 | undefined;

/** What is being read. */
let reading: Promise<unknown> | undefined;

/** Looks at the address. One that only hands over the click that is known holds nothing new. */
const look = async (): Promise<void> => {
  if ((document as { prerendering?: boolean }).prerendering) return;
  await looked;
  const { href } = location;
  if (!seen.includes(href) && canRefer() && !href.includes("affonso_id=" + window.affonso_referral)) {
    seen.push(href);
    fields = await read(href === asked);
    if (fields) report();
  }
};
export const visit = (): Promise<unknown> => (reading = after(look, reading));

/** Sends what waits, and looks at the address. */
export const resume = (): void => {
  allowStore(hasConsent !== false);
  flush();
  visit();
};

/** Consent was given: what was recorded before it becomes a whole click. Whether all has reached the edge. */
export const grant = async (): Promise<boolean> => {
  await visit();
  await flush();
  if (hasConsent === false && !optedOut) {
    hasConsent = true;
    allowStore(true);
    if (fields) report(clickId());
  }
  await flush();
  return !queued()[0];
};

/** Consent was withdrawn. */
export const refuse = (): void => {
  hasConsent = false;
  allowStore(false);
};

/** Records the click. */
const report = (upgradeClickId?: string): Promise<unknown> =>
  deliver(trackName, { referrer: document.referrer, hasConsent, upgradeClickId, ...fields });
