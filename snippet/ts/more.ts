/**
 * What few pages need: a file of its own, which `main.ts` loads where consent is asked for or withdrawn, and beside Paddle. What
 * it needs of the page comes as parameters.
 */

/**
 * What the rest of the snippet lends: the page, the click, what gives and what refuses consent, the address of consent, and with
 * what the keys begin that wait in the browser's store.
 */
export type Loan = [
  window: any,
  clickId: () => string | undefined,
  grant: () => Promise<boolean>,
  refuse: () => void,
  consentUrl: string,
  keys: string,
];

/** Consent was withdrawn: nothing stays in the browser, and nothing is recorded until it is given again. */
export const withdraw = async ([window, , , refuse, consentUrl, keys]: Loan): Promise<boolean> => {
  refuse();
  try {
    delete window.affonso_referral;
    const { localStorage } = window;
    for (const key of Object.keys(localStorage)) if (key.startsWith(keys)) delete localStorage[key];
  } catch {
    // nothing is stored here
  }
  try {
    const body = JSON.stringify({ granted: false });
    const options = { method: "POST", credentials: "include", keepalive: true, body };
    return (await window.fetch(consentUrl, options)).ok;
  } catch {
    return false;
  }
};

const watched = new WeakSet();
let opened: unknown;
/** Paddle's checkouts are opened by a script, or by buttons that hold its parameters. The id goes among the page's own data. */
export const paddle = ([window, clickId]: Loan): void => {
  const { document } = window;
  const mark = (node: any): void => {
    const id = clickId();
    if (node.matches?.(".paddle_button") && id) {
      try {
        const data = JSON.parse(node.dataset.customData || "{}");
        if (!data.affonso_referral) node.dataset.customData = JSON.stringify({ ...data, affonso_referral: id });
      } catch {
        // what the page holds there is its own affair
      }
    }
    node.querySelectorAll?.(".paddle_button").forEach(mark);
  };
  const checkout = window.Paddle?.Checkout;
  if (checkout && checkout.open !== opened) {
    const { open } = checkout;
    checkout.open = opened = (options: any, ...more: unknown[]) => {
      const id = clickId();
      const customData = { ...(id && { affonso_referral: id }), ...options?.customData };
      return open.call(checkout, id ? { ...options, customData } : options, ...more);
    };
  }
  if (!watched.has(document)) {
    watched.add(document);
    mark(document);
    new window.MutationObserver((records: MutationRecord[]) =>
      records.forEach(({ addedNodes }) => addedNodes.forEach(mark)),
    ).observe(document, { subtree: true, childList: true });
  }
};

/** Whether a cookie holds the click: then it needs no other way. */
const isKept = ([window]: Loan): boolean => {
  try {
    return window.document.cookie.includes("affonso_referral=");
  } catch {
    return false;
  }
};

/**
 * Carries the click over navigation while nothing may be stored: in the page's own address, in links and forms to pages of
 * this host, hosts above and below it, and on the ways that scripts take.
 */
const carry = (loan: Loan): void => {
  const [window, clickId] = loan;
  const { document, location, history } = window;
  const bare = (host: string): string => "." + host.replace(/^www\./, "");
  const isOurs = (host: string): boolean =>
    bare(host).endsWith(bare(location.hostname)) || bare(location.hostname).endsWith(bare(host));
  const carried = (address: string): string | undefined => {
    const id = clickId();
    const url = new URL(address, location.href);
    if (!id || isKept(loan) || !isOurs(url.hostname) || url.searchParams.has("affonso_id")) return;
    url.search += (url.search && "&") + "affonso_id=" + encodeURIComponent(id);
    return url.href;
  };
  const mark = (): void => {
    const better = carried(location.href);
    if (better) history.replaceState(history.state, "", better);
  };
  const follow = (event: any): void => {
    const link = event.composedPath().find((node: any) => node.localName === "a" && node.href);
    const better = link && !/^#|^javascript:/i.test(link.getAttribute("href")) && carried(link.href);
    if (better) link.href = better;
  };
  mark();
  for (const event of ["affonso_referral_ready", "popstate"]) window.addEventListener(event, mark);
  // A router leaves it behind.
  for (const name of ["pushState", "replaceState"]) {
    const change = history[name];
    history[name] = (...all: unknown[]) => {
      change.apply(history, all);
      mark();
    };
  }
  for (const event of ["click", "auxclick", "contextmenu"]) window.addEventListener(event, follow, true);
  window.addEventListener("submit", ({ target }: any) => {
    const action = target.getAttribute("action") || location.href;
    const better = carried(action);
    if (better && target.method === "post") target.setAttribute("action", better);
  });
  document.addEventListener("formdata", ({ target, formData }: any) => {
    if (target.method === "get" && carried(target.getAttribute("action") || "")) formData.append("affonso_id", clickId());
  });
  window.navigation?.addEventListener("navigate", (event: any) => {
    const { destination, navigationType, cancelable, formData, downloadRequest } = event;
    const goes = navigationType === "push" || navigationType === "replace";
    const better = goes && cancelable && !formData && !destination.sameDocument && downloadRequest === null && carried(destination.url);
    if (better) {
      event.preventDefault();
      event.stopImmediatePropagation();
      location[navigationType === "push" ? "assign" : "replace"](better);
    }
  });
};

/** Listens to the managers of consent that the page has, and carries the click along until one says yes. */
export const managers = (loan: Loan): void => {
  const [window, , grant] = loan;
  const { document } = window;
  let consented = false;
  const decide = (says: unknown): void => {
    if (says && !consented) grant();
    if (!says && (consented || isKept(loan))) withdraw(loan);
    consented = !!says;
  };

  const hooks: Record<string, (manager: any) => void> = {
    // IAB's Transparency and Consent Framework: to store something, and to measure advertising.
    __tcfapi: (ask) =>
      ask("addEventListener", 2, (data: any, works: boolean) => {
        const isDecided = data?.eventStatus === "tcloaded" || data?.eventStatus === "useractioncomplete";
        if (works && data.gdprApplies === false) decide(true);
        else if (works && isDecided) decide([1, 7].every((purpose) => data.purpose?.consents?.[purpose]));
      }),
    // Google's consent mode. A default may be for other regions, and comes before anybody was asked.
    dataLayer: (layer) => {
      const said: Record<string, string> = {};
      const read = (entry: any): void => {
        if (entry?.[0] !== "consent" || entry[2]?.region) return;
        Object.assign(said, entry[2]);
        const says = said.ad_storage === "granted" && said.ad_user_data !== "denied";
        if (says || entry[1] === "update") decide(says);
      };
      const { push } = layer;
      [...layer].forEach(read);
      layer.push = function (...entries: unknown[]) {
        const answer = push.apply(this, entries);
        entries.forEach(read);
        return answer;
      };
    },
    Cookiebot: ({ consent, hasResponse }) => hasResponse && decide(consent?.marketing),
    OptanonActiveGroups: (groups) => decide(/(^|,)C0004(,|$)/.test(groups)),
    getCkyConsent: (ask) => {
      const { isUserActionCompleted, categories } = ask();
      if (isUserActionCompleted) decide(categories?.advertisement);
    },
  };
  const look = (): void => {
    for (const name of Object.keys(hooks)) {
      const manager = window[name];
      const hook = hooks[name]!;
      if (!manager) continue;
      delete hooks[name];
      try {
        hook(manager);
      } catch {
        // it is something else of that name
      }
    }
  };

  const on = (target: any, events: string[], act: (event: any) => void): void =>
    events.forEach((event) => target.addEventListener(event, act));
  on(window, ["CookiebotOnConsentReady", "CookiebotOnAccept", "CookiebotOnDecline"], () =>
    decide(window.Cookiebot?.consent?.marketing),
  );
  on(window, ["OneTrustGroupsUpdated", "consent.onetrust"], ({ detail }) => decide([].concat(detail).join().includes("C0004")));
  on(document, ["cookieyes_consent_update"], ({ detail }) => decide(detail?.accepted?.includes("advertisement")));
  on(document, ["DOMContentLoaded"], look);
  on(window, ["load"], look);
  document.addEventListener("load", look, true);
  look();
  carry(loan);
};
