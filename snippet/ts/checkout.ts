import { clickId } from "./click";
import { more } from "./loan";
import { domains } from "./site";
import { settings } from "./tag";

/** Where a link's query takes the click's id, and as what: the pages of payment providers and the site's other domains. */
const places: [place: string, field: string][] = [
  ["buy.stripe.com", "client_reference_id"],
  ["buy.polar.sh", "reference_id"],
  ["checkout.dodopayments.com", "metadata_affonso_referral"],
  ["creem.io/payment", "metadata[affonso_referral]"],
];
let selector: string;

let id: string | undefined;
/** The id before this one. Where it stands the new one takes its place; nobody else's value is touched. */
let before: string | undefined;
const isFree = (held: unknown): boolean => !held || held === before;

/** In what the id goes along to this address. */
const fieldOf = ({ hostname, pathname }: URL): string | undefined =>
  places.find(([place]) => ("." + hostname + pathname).includes("." + place + "/"))?.[1];

/** The address, with the id where it leads to a place that takes one. */
const decorated = (address: string): string => {
  try {
    const url = new URL(address, location.href);
    const field = fieldOf(url);
    if (field && isFree(url.searchParams.get(field))) {
      url.searchParams.set(field, id!);
      return url.href;
    }
  } catch {
    // no address
  }
  return address;
};

const search = (node: any): void => {
  if (node.matches?.(selector)) decorate(node);
  node.querySelectorAll?.(selector).forEach(decorate);
};
const decorate = (element: any): void => {
  const name = element.href ? "href" : "action";
  const address = element[name];
  if (!address) {
    if (isFree(element.getAttribute("client-reference-id"))) element.setAttribute("client-reference-id", id);
  } else if (decorated(address) !== address) {
    element[name] = decorated(address);
  }
};

const observe = (records: any): void => {
  if ((window as any).Paddle) more("paddle");
  // An event has none.
  records.forEach?.(({ target, addedNodes }: MutationRecord) => (addedNodes[0] ? addedNodes.forEach(search) : search(target)));
};

const watch = (): void => {
  // Where there are none, "" and "undefined" are in no address.
  for (const domain of (domains + "," + settings.domains).split(","))
    if (!("." + location.hostname).endsWith("." + domain)) places.push([domain, "affonso_id"]);
  selector = places.map(([place]) => `a[href*="${place}"],form[action*="${place}"]`) + ",stripe-buy-button,stripe-pricing-table";
  new MutationObserver(observe).observe(document, { subtree: true, childList: true, attributeFilter: ["href"] });
  document.addEventListener("load", observe, true);
  // The browser puts a form's fields where its address had a query.
  addEventListener("formdata", ({ target, formData }: any) => {
    const field = fieldOf(new URL(target.action, location.href));
    if (field) formData.set(field, id);
  });
  // Checkouts that a script opens. Whatever else it opens goes its usual way.
  const { open } = window;
  window.open = (address, ...more) => open.call(window, decorated(address as string), ...more);
  (window as any).navigation?.addEventListener("navigate", (event: any) => {
    const { url } = event.destination;
    const to = decorated(url);
    if (to !== url && !event.formData) {
      event.preventDefault();
      location.href = to;
    }
  });
};

/** The click is known, or another one now: checkouts are given its id, also those that come later. */
export const decoratePage = (): void => {
  try {
    before = id;
    id = clickId();
    if (!before) watch();
    if (id) search(document);
    // Paddle may have been there first.
    observe([]);
  } catch {
    // a page that has no such things
  }
};
