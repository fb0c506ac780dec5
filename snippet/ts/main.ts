import type { AffonsoSignup } from "../usher";
import { clickId, currentOffer, take, takeCookie } from "./click";
import { request } from "./net";
import { more } from "./loan";
import { deliver, queued } from "./queue";
import { bindName, codesName, signupsName } from "./site";
import { askedAddress, consentRequired, tag } from "./tag";
import { after } from "./time";
import { grant, resume, resumeAt, visit } from "./visit";

/** Sends what belongs to a click, when there is one or one is on its way. Whether it was taken. */
const post = (name: string, fields: object): Promise<boolean> =>
  visit()
    .then(() => (clickId() || queued()[0] ? deliver(name, { click_id: clickId(), ...fields }) : false))
    .catch(() => false);

/** Tells when a script changes the address without a load. */
const watchAddress = (): void => {
  addEventListener("popstate", visit);
  for (const name of ["pushState", "replaceState"] as const) {
    const change = history[name];
    history[name] = (...all) => {
      change.apply(history, all);
      visit();
    };
  }
};

const start = (): void => {
  takeCookie();
  resumeAt(askedAddress);
  visit();
  addEventListener("online", resume);
  addEventListener("pageshow", ({ persisted }: PageTransitionEvent) => {
    if (!persisted) return;
    takeCookie();
    resume();
  });
  watchAddress();
};

if (!window.Affonso?.applyCode) {
  window.Affonso = {
    signup: (who: string | AffonsoSignup) => {
      const { email, externalUserId, name } = typeof who == "string" ? { email: who } : who || {};
      return post(signupsName, { email, external_user_id: externalUserId, name });
    },
    getReferralId: () => clickId() || null,
    isConsentRequired: () => consentRequired,
    getDiscount: () => currentOffer().discount || null,
    getAffiliateCoupons: () => currentOffer().affiliateCoupons || [],
    applyCode: async (code) => {
      let answer: any;
      try {
        [, answer] = (await request(codesName + "/" + encodeURIComponent(code), {}))!;
        take(answer);
      } catch {
        // no code is written so, or nobody can be asked
      }
      return { code, valid: false, ...answer };
    },
    bind: (orderId) => post(bindName, { order_id: String(orderId) }),
  };
  window.affonsoConsentGranted = grant;
  window.affonsoConsentWithdrawn = () => more("withdraw");
  if (consentRequired) more("managers");
  // Who waits for the tag may look right behind it.
  if (tag!.async) {
    after(start);
  } else {
    start();
  }
}
