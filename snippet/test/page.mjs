// A stand-in for a page: as much of a browser as the snippet touches, with a hand on everything.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import vm from "node:vm";

/** The folder of built files under test. */
export const dist = process.env.SNIPPET_DIST
  ? pathToFileURL(process.env.SNIPPET_DIST + "/")
  : new URL("../dist/", import.meta.url);

/** What tells of a policy in a page. */
export const nonce = "script[nonce]";
export const meta = 'meta[http-equiv="content-security-policy" i]';

/** Goes on with every look at it. */
let now = 1.7e12;
const text = readFileSync(new URL("pixel.js", dist), "utf8").replaceAll("import(", "__import(");
const more = await import(new URL("more.js", dist));
/** The part that reads addresses, run in this scope. */
export const runWorkerIn = (scope) => {
  const module = readFileSync(new URL("worker.js", dist), "utf8");
  const script = module.replace(/export\{(\w+) as read\}/, "this.read=$1").replaceAll("import.meta.url", "self.address");
  scope.self = scope;
  vm.runInContext(script, vm.createContext(scope));
  return scope;
};
/** The snippet of a site, as the edge hands it out. */
const scriptOf = ({ domains = "", asksConsent = "", honoursGpc = "1" } = {}) => {
  const site = ["t", "s", "c", "b", "n", "w.js", "m.js", "atp,via,partner.id", domains, asksConsent, honoursGpc];
  return new vm.Script(text.replace("__SITE__", JSON.stringify(site)));
};

/** Lets everything run that is ready to. */
export const settle = async () => {
  for (let i = 0; i < 20; i++) await new Promise(setImmediate);
};

/** A script element. */
export const tag = (attributes = {}, src = "https://shop.example/r/pixel.js") => ({
  src,
  nonce: attributes.nonce || "",
  dataset: Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [name.slice(5).replace(/-./g, ([, c]) => c.toUpperCase()), value]),
  ),
});

export const ours = (more = {}, src) => tag({ "data-affonso": "prog1", "data-cookie_duration": "30", ...more }, src);

/**
 * A page. `answer(request)` gives what the edge says: an object (JSON, 200), a number (a status) or undefined (no network).
 * What the snippet did stands in `requests`, `imports`, `workers` (addresses that are to be read here), `timers`, `events`, and in
 * `store`, which is the browser's. `reads`: whether addresses can be read here.
 */
export const page = ({
  url = "https://shop.example/",
  cookie = "",
  script: current = ours(),
  found = null,
  reads = true,
  state = "complete",
  site,
  store = {},
  answer = () => ({ cid: "clk1", data: null }),
  change = () => {},
} = {}) => {
  const script = scriptOf(site);
  const requests = [];
  const imports = [];
  const workers = [];
  const timers = [];
  const events = [];
  const window = new EventTarget();
  const target = new EventTarget();
  const location = new URL(url);

  const part = (src) => ({
    read: (...sent) => (reads ? new Promise((answer, fail) => workers.push({ src, sent, answer, fail })) : Promise.resolve()),
  });
  const listens = (to) => ({
    addEventListener: to.addEventListener.bind(to),
    dispatchEvent: to.dispatchEvent.bind(to),
  });
  const document = {
    ...listens(target),
    currentScript: current,
    cookie,
    referrer: "https://blog.example/",
    baseURI: url,
    readyState: state,
    querySelector: () => found,
  };
  const scope = vm.createContext({
    ...listens(window),
    document,
    location,
    history: {
      state: { kept: 1 },
      pushState: (_state, _title, to) => (location.href = new URL(to, location)),
      replaceState: (state, _, to) => (events.push(["replace", state, "" + to]), (location.href = "" + to)),
    },
    navigator: {},
    localStorage: store,
    MutationObserver: class {
      observe() {}
    },
    __import: async (from) => (imports.push(from), from.endsWith("/w.js") ? part(from) : more),
    fetch: async (to, options = {}) => {
      const request = { to, method: options.method || "GET", body: options.body && JSON.parse(options.body), options };
      requests.push(request);
      const said = await answer(request);
      if (said === undefined) throw new TypeError("Failed to fetch");
      return typeof said === "number" ? new Response(said === 204 ? null : "{}", { status: said }) : Response.json(said);
    },
    // A timer without a time is only a task of its own.
    setTimeout: (run, ms, ...with_) => (ms ? timers.push({ ms, run: () => run(...with_) }) : setImmediate(run)),
    AbortSignal,
    Date: { now: () => ++now },
    Response,
    CustomEvent,
    URL,
  });
  scope.window = scope.top = scope;
  window.addEventListener("affonso_referral_ready", (event) => events.push(["ready", event.detail]));
  change(scope);

  return {
    scope,
    document,
    requests,
    imports,
    store,
    workers,
    timers,
    events,
    /** Runs the snippet in the page, as its tag does. */
    load: async () => {
      script.runInContext(scope);
      await settle();
    },
    fire: async (name, on = window, more = {}) => {
      on.dispatchEvent(Object.assign(new Event(name), more));
      await settle();
    },
    documentEvents: target,
    windowEvents: window,
    bodies: () => requests.map((request) => request.body),
  };
};
