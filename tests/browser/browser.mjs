// A real Chromium that looks like a shopper's, and a watch on everything that a page complains about.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

/** Debian's Chromium itself: its wrapper turns features off that shoppers have on. */
const executablePath = process.env.CHROMIUM ?? "/usr/lib/chromium/chromium";
/** Hosts of the tests, all on this machine. Every other name does not resolve: the browser calls home whatever it is told. */
const resolve = "MAP *.shop.test 127.0.0.1, MAP *.pay.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1";
const args = [
  "--no-sandbox", // root, as CI is, has no sandbox
  "--disable-gpu",
  "--disable-quic",
  "--disable-dev-shm-usage",
  "--disable-blink-features=AutomationControlled", // navigator.webdriver is false, as in every browser that a person drives
  `--host-resolver-rules=${resolve}`,
];

/** A shopper with a fresh profile. `complaints` collects everything that the pages complain about; `more` are settings. */
export async function visitor(t, more = {}) {
  const profile = mkdtempSync(join(tmpdir(), "usher-profile-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    args,
    headless: true,
    userAgent: await userAgent(),
    ...more,
  });
  t.after(async () => {
    await context.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  });
  const page = context.pages()[0];
  const complaints = [];
  const requests = [];
  context.on("console", (message) => complaints.push(`console.${message.type()}: ${message.text()}`));
  context.on("weberror", (error) => complaints.push(`error: ${error.error()}`));
  context.on("requestfailed", (request) => complaints.push(`failed: ${request.url()} ${request.failure()?.errorText}`));
  context.on("request", (request) => requests.push(request));
  context.on("response", (response) => {
    if (response.status() >= 400) complaints.push(`${response.status()}: ${response.url()}`);
  });
  await context.exposeFunction("reportViolation", (what) => complaints.push(`violation: ${what}`));
  await context.addInitScript(() => {
    addEventListener(
      "securitypolicyviolation",
      (event) => window.reportViolation(`${event.violatedDirective} ${event.blockedURI}`),
      true,
    );
  });
  return { context, page, complaints, requests };
}

let known;

/** The browser's own user agent without the word that gives a headless one away. */
async function userAgent() {
  if (!known) {
    const browser = await chromium.launch({ executablePath, args, headless: true });
    const page = await browser.newPage();
    known = (await page.evaluate(() => navigator.userAgent)).replace("HeadlessChrome", "Chrome");
    await browser.close();
  }
  return known;
}
