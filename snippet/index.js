/**
 * Puts Usher's tag into the page, once. On a server it does nothing.
 *
 * @param {import("./usher.js").TagOptions} options
 */
export function load({ src, program, base, cookieDuration, requiresConsent, domains, nonce }) {
  if (typeof document === "undefined" || document.querySelector("script[data-affonso]")) return;
  const tag = document.createElement("script");
  tag.async = true;
  const attributes = {
    nonce,
    "data-affonso": program,
    "data-api-base": base,
    "data-cookie_duration": cookieDuration,
    "data-requires-consent": requiresConsent,
    "data-domains": domains?.join(","),
    src,
  };
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) tag.setAttribute(name, `${value}`);
  document.head.append(tag);
}
