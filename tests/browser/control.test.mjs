// The instruments themselves: a watch that sees nothing proves nothing.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { visitor } from "./browser.mjs";
import { eventually } from "./processes.mjs";

const timeout = 60_000;

/** A page served on a free port. Gives its address and the headers that the browser sent for it. */
async function serve(t, html, headers = {}) {
  const seen = [];
  const server = createServer((request, answer) => {
    seen.push(request.headers);
    if (request.url !== "/") return answer.writeHead(404).end();
    answer.writeHead(200, { "content-type": "text/html", ...headers }).end(html);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  return { url: `http://localhost:${server.address().port}/`, seen };
}

test("the browser looks like a shopper's", { timeout }, async (t) => {
  const { page, complaints } = await visitor(t);
  const { url, seen } = await serve(t, '<link rel="icon" href="data:,"><title>x</title>');
  await page.goto(url);
  const own = await page.evaluate(() => [navigator.userAgent, navigator.webdriver]);
  assert.match(own[0], /Chrome\/\d+/);
  assert.doesNotMatch(own[0], /Headless/);
  assert.equal(own[1], false);
  assert.doesNotMatch(JSON.stringify(seen[0]), /Headless/i);
  assert.deepEqual(complaints, []);
});

test("violations, errors and failed requests are seen", { timeout }, async (t) => {
  const { page, complaints } = await visitor(t);
  const html = `<link rel="icon" href="data:,"><script>console.log("inline")</script><img src="/missing.png">
    <script src="data:text/javascript,0"></script>`;
  const { url } = await serve(t, html, { "content-security-policy": "default-src 'self'; script-src 'self'" });
  await page.goto(url);
  for (const wanted of [/^violation: script-src-elem inline/, /^console\.error: .*Content Security Policy/, /^404: /]) {
    await eventually(wanted, () => complaints.some((complaint) => wanted.test(complaint)));
  }
  complaints.length = 0;
  const thrower = await serve(t, '<link rel="icon" href="data:,"><script>console.warn("w"); null.x</script>');
  await page.goto(thrower.url);
  for (const wanted of [/^console\.warning: w/, /^error: TypeError/]) {
    await eventually(wanted, () => complaints.some((complaint) => wanted.test(complaint)));
  }
});
