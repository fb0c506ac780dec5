import type { AffonsoCoupon, AffonsoDiscount } from "../usher";
import { decoratePage } from "./checkout";

/** What came with the click. */
interface Offer {
  discount?: AffonsoDiscount | null;
  affiliateCoupons?: AffonsoCoupon[] | null;
}

let announced: string | undefined;
let offer: Offer | undefined;

/** A cookie's decoded value; empty when there is none, or when cookies are forbidden here. */
const cookie = (name: string): string => {
  try {
    return decodeURIComponent(document.cookie.match("(?:^|; *)" + name + "=([^;]*)")![1]!);
  } catch {
    return "";
  }
};

export const clickId = (): string | undefined => window.affonso_referral || cookie("affonso_referral") || undefined;

export const currentOffer = (): Offer => {
  try {
    return offer || JSON.parse(cookie("affonso_data")) || {};
  } catch {
    return {};
  }
};

/** Tells the page once for each id. */
const announce = (): void => {
  const id = window.affonso_referral;
  if (id && announced !== id) {
    announced = id;
    dispatchEvent(new CustomEvent("affonso_referral_ready", { detail: id }));
  }
};

/** Takes what the edge answered. An empty id leaves everything as it is. */
export const take = (cid: unknown, data?: Offer | null): void => {
  if (cid) {
    window.affonso_referral = "" + cid;
    offer = data || offer;
    announce();
    decoratePage();
  }
};

/** Takes an earlier visit's cookie: the id at once, the event when the rest of the page can have its listeners. */
export const takeCookie = (): void => {
  const id = cookie("affonso_referral");
  if (id) {
    window.affonso_referral = id;
    decoratePage();
    if (document.readyState === "loading") {
      document.addEventListener("DOMContentLoaded", announce);
    } else {
      setTimeout(announce);
    }
  }
};
