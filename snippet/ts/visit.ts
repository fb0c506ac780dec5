import { type Fields, canRefer, read } from "./address";
import { clickId, looked } from "./click";
import { allowStore, deliver, flush, queued } from "./queue";
import { trackName } from "./site";
import { consentRequired, optedOut } from "./tag";
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
const look = async (href: string): Promise<void> => {
  // A page that is not shown yet is no visit yet.
  if ((document as { prerendering?: boolean }).prerendering) await new Promise((shown) => document.addEventListener("prerenderingchange", shown));
  await looked;
  if (!seen.includes(href) && canRefer(href) && !href.includes("affonso_id=" + window.affonso_referral)) {
    seen.push(href);
    fields = await read(href);
    if (fields) report();
  }
};
const visitTo = (href: string): Promise<unknown> => (reading = after(() => look(href), reading));
export const visit = (): Promise<unknown> => visitTo(location.href);

/** Sends what waits, and looks at the address. */
export const resumeAt = (href: string): void => {
  allowStore(hasConsent !== false);
  flush();
  visitTo(href);
};
export const resume = (): void => resumeAt(location.href);

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
