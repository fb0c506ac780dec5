import { type Fields, canRefer, read } from "./address";
import { clickId } from "./click";
import { allowStore, deliver, flush } from "./queue";
import { trackName } from "./site";
import { consentRequired, optedOut } from "./tag";

/** undefined: nobody has to ask. */
let hasConsent = consentRequired || optedOut ? false : undefined;
/** The address that was last read, and what it held. */
let seen: string | undefined;
let fields: Fields | undefined;

/** What is under way. It never rejects: false when the edge could not be reached. */
let visiting: Promise<boolean> = Promise.resolve(true);

/** Does one thing after the other. */
export const next = (step: (reached: boolean) => Promise<boolean>): Promise<boolean> =>
  (visiting = visiting.then(step).catch(() => false));

/** Looks at the address. One that only hands over the click that is known holds nothing new. */
const look = async (): Promise<boolean> => {
  const { href } = location;
  if (href === seen || !canRefer() || href.includes("affonso_id=" + clickId())) return true;
  seen = href;
  fields = await read();
  return !fields || report();
};
export const visit = (): Promise<boolean> => next(look);

/** Sends what waits, then looks at the address. */
export const resume = (): void => {
  if (hasConsent !== false) allowStore();
  next(flush);
  visit();
};

/** Consent was given: what was recorded before it becomes a whole click. Further calls only see to it that nothing waits. */
export const grant = (): Promise<boolean> =>
  next(() => {
    if (hasConsent !== false || optedOut) return flush();
    hasConsent = true;
    allowStore();
    return fields ? report(clickId()) : look();
  });

/** Consent was withdrawn. */
export const refuse = (): void => {
  hasConsent = false;
};

/** Records the click. */
const report = (upgradeClickId?: string): Promise<boolean> =>
  deliver(trackName, { referrer: document.referrer, hasConsent, upgradeClickId, ...fields });
