import type { AffonsoCoupon, AffonsoDiscount } from "../usher";
import { decoratePage } from "./checkout";
import { tag } from "./tag";
import { after, beforeItGoes } from "./time";

/** What came with the click. */
interface Offer {
  discount?: AffonsoDiscount | null;
  affiliateCoupons?: AffonsoCoupon[] | null;
}

let announced: string | undefined;
let offer: Offer | undefined;

/** A cookie's decoded value, when there is one and cookies are not forbidden here. */
const cookie = (name: string): string | undefined => {
  try {
    return decodeURIComponent(document.cookie.match("(?:^|; *)" + name + "=([^;]+)")![1]!);
  } catch {
    return;
  }
};

export const clickId = (): string | undefined => window.affonso_referral || cookie("affonso_referral");

/** The edge keeps the cookie in step with the click; it may have forgotten what came with one when it is asked again. */
export const currentOffer = (): Offer => {
  try {
    return JSON.parse(cookie("affonso_data")!) || {};
  } catch {
    return offer || {};
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
export const take = (answer?: { cid?: string; data?: Offer | null } | null): void => {
  if (answer?.cid) {
    window.affonso_referral = answer.cid;
    offer = answer.data || offer;
    announce();
    decoratePage();
  }
};

/** Looks for an earlier visit's cookie. Browsers keep cookies in another process, and `document.cookie` holds the page until that answers. */
const readCookie = async (): Promise<void> => {
  const { cookieStore } = window as any;
  // Who waits for the tag is told at once.
  const id = cookieStore && tag!.async ? decodeURIComponent((await cookieStore.get("affonso_referral")).value) : cookie("affonso_referral");
  if (id) {
    window.affonso_referral = id;
    decoratePage();
    // The rest of the page can have its listeners then.
    if (document.readyState === "loading") {
      document.addEventListener("DOMContentLoaded", announce);
    } else {
      after(announce);
    }
  }
};

/** Whether there is an earlier click is known then. */
export let looked: Promise<void>;
export const takeCookie = (): void => {
  looked = beforeItGoes(readCookie().catch(() => {}));
};
