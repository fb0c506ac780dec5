// The browsers of the matrix, as Debian ships them, each with a profile of its own: Chromium over CDP, Firefox over WebDriver
// BiDi, and Firefox with uBlock Origin and the lists that it comes with.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import puppeteer from "puppeteer-core";
import { start } from "../processes.mjs";

/** Debian's Chromium itself: its wrapper turns off what shoppers have on. */
const CHROMIUM = process.env.CHROMIUM ?? "/usr/lib/chromium/chromium";
const FIREFOX = process.env.FIREFOX ?? "/usr/lib/firefox-esr/firefox-esr";
/** Where Debian's packages put extensions for every profile. */
export const UBLOCK = "/usr/share/mozilla/extensions/{ec8030f7-c20a-464f-9b0e-13a3a9e97384}/uBlock0@raymondhill.net";

const chromium = async (t, profile, { ports, publicKey }, { gpc, scripts = true }) => {
  const major = /\d+/.exec(spawnSync(CHROMIUM, ["--version"], { encoding: "utf8" }).stdout)[0];
  const parameters = [
    "--headless=new",
    "--no-sandbox", // root, as CI is, has no sandbox
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-blink-features=AutomationControlled", // navigator.webdriver is false, as in every browser that a person drives
    `--user-agent=Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${major}.0.0.0 Safari/537.36`,
    `--host-resolver-rules=MAP *.test:443 127.0.0.1:${ports.https}, MAP *:443 127.0.0.1:${ports.https}, MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1`,
    `--ignore-certificate-errors-spki-list=${publicKey}`,
    `--user-data-dir=${profile}`,
    "--remote-debugging-port=0",
    ...(scripts ? [] : ["--blink-settings=scriptEnabled=false"]),
    ...(gpc ? ["--enable-features=GlobalPrivacyControl,GlobalPrivacyControlForce"] : []),
    "about:blank",
  ];
  const { matches } = await start(t, CHROMIUM, parameters, [/DevTools listening on (ws:\S+)/]);
  return puppeteer.connect({ browserWSEndpoint: matches[0][1], defaultViewport: null });
};

const firefox = (blocks) => async (t, profile, { ports }, { gpc, scripts = true }) => {
  const preferences = {
    "extensions.autoDisableScopes": 0, // what lies on the machine is on without a question
    "extensions.enabledScopes": blocks ? 15 : 0,
    "remote.prefs.recommended": false, // they turn tracking protection off
    "network.proxy.type": 1,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": ports.proxy,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": ports.proxy,
    "network.captive-portal-service.enabled": false,
    "network.connectivity-service.enabled": false,
    "datareporting.policy.dataSubmissionEnabled": false,
    "app.normandy.enabled": false,
    "browser.shell.checkDefaultBrowser": false,
    "browser.aboutwelcome.enabled": false,
    "termsofuse.acceptedVersion": 999,
    "privacy.globalprivacycontrol.enabled": !!gpc,
    "javascript.enabled": scripts,
  };
  const lines = Object.entries(preferences).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});\n`);
  writeFileSync(join(profile, "user.js"), lines.join(""));
  const parameters = ["--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0", "about:blank"];
  const { matches } = await start(t, FIREFOX, parameters, [/WebDriver BiDi listening on (ws:\S+)/]);
  return puppeteer.connect({
    browserWSEndpoint: `${matches[0][1]}/session`,
    protocol: "webDriverBiDi",
    acceptInsecureCerts: true,
    defaultViewport: null,
  });
};

export const makes = { chromium, firefox: firefox(false), ublock: firefox(true) };

/** A browser of this make that reaches nothing but `front`. `gpc`: it asks for privacy; `scripts`: whether it runs them. */
export async function open(t, make, front, options = {}) {
  const profile = mkdtempSync(join(tmpdir(), "usher-profile-"));
  const browser = await makes[make](t, profile, front, options);
  // The browser's process has been ended by then; those that it has started end a moment later.
  t.after(async () => {
    await browser.disconnect();
    rmSync(profile, { recursive: true, force: true, maxRetries: 20 });
  });
  return browser;
}

/** Somebody new, with no cookies. `complaints` collects everything that any of the pages complains about. */
export async function visitor(browser, site) {
  const context = await browser.createBrowserContext();
  const complaints = [];
  const newPage = async () => {
    const page = await context.newPage();
    page.on("console", (message) => complaints.push(`console.${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => complaints.push(`error: ${error}`));
    page.on("requestfailed", (request) => {
      // Chromium gives up on the empty body of an answer that says that it has none.
      if (site.isOurs(request.url()) && request.response()?.status() !== 204) complaints.push(`failed: ${request.url()} ${request.failure()?.errorText}`);
    });
    page.on("response", (response) => {
      if (response.status() >= 400) complaints.push(`${response.status()}: ${response.url()}`);
    });
    await page.evaluateOnNewDocument(() => {
      addEventListener(
        "securitypolicyviolation",
        (event) => console.error(`violation: ${event.violatedDirective} ${event.blockedURI}`),
        true,
      );
    });
    return page;
  };
  return { context, newPage, page: await newPage(), complaints };
}
