/**
 * What Usher's snippet gives to a page. Reference it once and the types of `window` are known:
 * `/// <reference path="./usher.d.ts" />`, or put it into `include` of tsconfig.json.
 */

/** A discount of the program, or of a promo code. */
export interface AffonsoDiscount {
  couponId?: string;
  promoCode?: string;
  amount?: number;
  type?: string;
  maxDuration?: number | null;
  [more: string]: unknown;
}

/** A coupon of the affiliate who sent the visitor. */
export interface AffonsoCoupon {
  [field: string]: unknown;
}

/** Who signed up. One of `email` and `externalUserId` is needed. */
export interface AffonsoSignup {
  email?: string;
  /** Your own id of the user. */
  externalUserId?: string;
  name?: string;
}

/** What is known of a promo code. */
export interface AffonsoCode {
  code: string;
  /** False for a code that is unknown or does not hold now, and when nobody could be asked. */
  valid: boolean;
  discount?: AffonsoDiscount | null;
  /** Why it is not valid: `unknown`, `expired`, … */
  reason?: string;
  /** The click that the code has led to. */
  cid?: string;
  /** What comes with that click: the code's discount, and the affiliate's coupons. */
  data?: { discount: AffonsoDiscount | null; affiliateCoupons: AffonsoCoupon[] };
  [more: string]: unknown;
}

/** `window.Affonso`. Nothing here throws, and no promise is rejected. */
export interface Affonso {
  /**
   * Reports a lead. Does nothing for visitors that nobody has sent. Resolves to whether the lead was taken; one that cannot be
   * sent waits, and is sent when the network is back, by this page or by the next.
   */
  signup(who: string | AffonsoSignup): Promise<boolean>;
  /** The id of the click, null when nobody has sent the visitor. */
  getReferralId(): string | null;
  /** Whether the tag says `data-requires-consent="true"`. */
  isConsentRequired(): boolean;
  /** The discount that came with the click. */
  getDiscount(): AffonsoDiscount | null;
  /** The affiliate's coupons, the newest first. */
  getAffiliateCoupons(): AffonsoCoupon[];
  /** Looks a promo code up; where the site's policy says so the visitor then belongs to its affiliate. */
  applyCode(code: string): Promise<AffonsoCode>;
  /** Ties an order to the visitor's click, before the checkout leaves the browser. Waits as a lead does. */
  bind(orderId: string | number): Promise<boolean>;
}

/** What a tag says. */
export interface TagOptions {
  /** Where the snippet lies, as `usher snippet` prints it. */
  src: string;
  /** The program's public id. */
  program: string;
  /** Where requests go; without it, the folder of `src`. */
  base?: string;
  /** Days; the site's own setting decides. */
  cookieDuration?: number;
  /** Nothing is stored until consent is given. */
  requiresConsent?: boolean;
  /** More domains of yours that have cookies of their own; those in the site's `hosts` are known. */
  domains?: string[];
  /** For pages whose Content-Security-Policy names one. */
  nonce?: string;
}

/** Puts the tag into the page, once. On a server it does nothing. */
export function load(options: TagOptions): void;

declare global {
  interface Window {
    /** The id of the click, once it is known. */
    affonso_referral?: string;
    Affonso?: Affonso;
    /** Call it when the visitor has consented, on every page. Resolves to whether that has taken effect. */
    affonsoConsentGranted?: () => Promise<boolean>;
    /** Call it when the visitor has withdrawn consent, or objects: the cookies are cleared. Resolves to whether they were. */
    affonsoConsentWithdrawn?: () => Promise<boolean>;
  }
  interface WindowEventMap {
    /** Fired once for each id, when `window.affonso_referral` has it. */
    affonso_referral_ready: CustomEvent<string>;
  }
}
