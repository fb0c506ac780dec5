/** What the edge writes in when it serves the file: names below the base, then the parameters joined by commas. */
declare const __SITE__: readonly [string, string, string, string, string, string];

export const [trackName, signupsName, codesName, bindName, workerName, parameters] = __SITE__;
