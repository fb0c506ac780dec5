import type { AffonsoSignup } from "../usher";
import { clickId, currentOffer, take, takeCookie } from "./click";
import { json, request } from "./net";
import { bindName, codesName, signupsName } from "./site";
import { consentRequired, programId } from "./tag";
import { grant, visit, visiting } from "./visit";

/** Sends what belongs to a click, when there is one. Whether it was taken. */
const post = async (path: string, fields: object): Promise<boolean> => {
  await visiting;
  const click_id = clickId();
  return !!(click_id && (await request([path], { programId, click_id, ...fields }))?.ok);
};

const start = (): void => {
  visit();
  addEventListener("popstate", visit);
};

if (!window.Affonso?.applyCode) {
  window.Affonso = {
    signup: (who: string | AffonsoSignup) => {
      const { email, externalUserId, name } = typeof who == "string" ? { email: who } : who || {};
      return post(signupsName, { email, external_user_id: externalUserId, name });
    },
    getReferralId: clickId,
    isConsentRequired: () => consentRequired,
    getDiscount: () => currentOffer().discount || null,
    getAffiliateCoupons: () => currentOffer().affiliateCoupons || [],
    applyCode: async (code) => {
      const answer = await json(await request([codesName, code]));
      take(answer?.cid, answer?.discount && { ...currentOffer(), discount: answer.discount });
      return { code, valid: false, ...answer };
    },
    bind: (orderId) => post(bindName, { order_id: String(orderId) }),
  };
  window.affonsoConsentGranted = grant;
  takeCookie();
  if ("prerendering" in document && document.prerendering) {
    document.addEventListener("prerenderingchange", start);
  } else {
    start();
  }
}
