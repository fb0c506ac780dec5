/** Our own tag. `currentScript` is null in modules and with some loaders, and another script's when we were bundled. */
const find = (): HTMLScriptElement | null => {
  const current = document.currentScript as HTMLScriptElement | null;
  return current?.dataset.affonso ? current : document.querySelector("script[data-affonso]") || current;
};

export const tag = find();

/** An attribute of our tag; empty when it is not there. */
const attribute = (name: string): string => tag?.getAttribute("data-" + name) || "";

export const programId = attribute("affonso") || undefined;
export const consentRequired = attribute("requires-consent") === "true";
/** Whole days, as the tag says them. The site's own setting decides. */
export const cookieDuration = +(/^\d{1,3}$/.exec(attribute("cookie_duration")) || 0) || undefined;

/**
 * Where our requests go, without a slash at its end: `data-api-base`, else the folder of our own file. The platform's
 * guide also names it `js/pixel.min.js` below the base.
 */
const findBase = (): string => {
  const given = attribute("api-base");
  const from = new URL(given || tag?.src || "", document.baseURI);
  return from.origin + from.pathname.replace(given ? /\/$/ : /(\/js\/pixel\.min\.js|\/[^/]*)$/, "");
};

export const base = findBase();
export const isSameOrigin = base.startsWith(location.origin + "/");
