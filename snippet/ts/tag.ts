import { asksConsent, honoursGpc } from "./site";

/**
 * Written in by the build, which runs a tag that nobody waits for in a task of its own: what `currentScript` and the page's address
 * were before it. A router may have changed the address by then.
 */
declare const current: HTMLScriptElement | null, asked: string;
export const askedAddress = asked;
/** Our own tag. `currentScript` is null in modules and with some loaders, and another script's when we were bundled. */
export const tag = current?.dataset.affonso ? current : (document.querySelector("script[data-affonso]") as HTMLScriptElement | null) || current;
/** What our tag says in its `data-` attributes. */
export const settings: Partial<Record<"affonso" | "apiBase" | "domains" | "parser" | "requiresConsent", string>> = tag?.dataset || {};

export const consentRequired = !!asksConsent || settings.requiresConsent === "true";
/** The browser says that the visitor wants none of this (<https://www.w3.org/TR/gpc/>). */
export const optedOut = !!honoursGpc && (navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl;

/**
 * Where our requests go, without a slash at its end: `data-api-base`, else the folder of our own file. The platform's
 * guide also names it `js/pixel.min.js` below the base. Most pages ask for nothing, and need none of it.
 */
export const base = (): string => {
  const { origin, pathname } = new URL(settings.apiBase ? settings.apiBase + "/" : tag!.src, askedAddress);
  return origin + pathname.replace(/\/*(js\/pixel\.min\.js|[^/]*)$/, "");
};
