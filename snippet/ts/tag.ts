import { asksConsent, honoursGpc } from "./site";

/** Our own tag. `currentScript` is null in modules and with some loaders, and another script's when we were bundled. */
const find = (): HTMLScriptElement | null => {
  const current = document.currentScript as HTMLScriptElement | null;
  return current?.dataset.affonso ? current : document.querySelector("script[data-affonso]") || current;
};

export const tag = find();
/** What our tag says in its `data-` attributes. */
export const settings: Partial<Record<"affonso" | "apiBase" | "domains" | "parser" | "requiresConsent", string>> = tag?.dataset || {};

export const consentRequired = !!asksConsent || settings.requiresConsent === "true";
/** The browser says that the visitor wants none of this (<https://www.w3.org/TR/gpc/>). */
export const optedOut = !!honoursGpc && (navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl;

/**
 * Where our requests go, without a slash at its end: `data-api-base`, else the folder of our own file. The platform's
 * guide also names it `js/pixel.min.js` below the base.
 */
const findBase = (): string => {
  const { origin, pathname } = new URL(settings.apiBase ? settings.apiBase + "/" : tag!.src, location.href);
  return origin + pathname.replace(/\/*(js\/pixel\.min\.js|[^/]*)$/, "");
};

export const base = findBase();
export const isSameOrigin = base.startsWith(location.origin + "/");
