/**
 * What the edge writes in when it serves the file: names below the base; files; the parameters that name an affiliate and the
 * site's domains, each joined by commas; then, empty for no, whether the site asks for consent and whether it honours Global
 * Privacy Control.
 */
declare const __SITE__: readonly [string, string, string, string, string, string, string, string, string, string, string];

export const [
  trackName,
  signupsName,
  codesName,
  bindName,
  consentName,
  workerName,
  moreName,
  parameters,
  domains,
  asksConsent,
  honoursGpc,
] = __SITE__;
