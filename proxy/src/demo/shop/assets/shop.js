// The shop's own script, written against the platform's documented surface: window.affonso_referral, the ready event, and
// Affonso.applyCode where there is one. Nothing here knows the edge.
"use strict";

const byId = (id) => document.getElementById(id);

// --- who sent you ---------------------------------------------------------------------------------------------------------

// The page only ever learns a click id. The name is the shop's own memory of the link, for the line at the top.
const LINK_PARAMETERS = ["atp", "via", "affonso", "aff", "ref"];

function rememberedName() {
  const query = new URLSearchParams(location.search);
  const named = LINK_PARAMETERS.map((name) => query.get(name)).find(Boolean);
  try {
    if (named) sessionStorage.setItem("demo_name", named);
    return named || sessionStorage.getItem("demo_name");
  } catch {
    return named; // storage may be switched off
  }
}

function showReferral() {
  const referral = window.affonso_referral || "";
  if (!referral) return;
  const name = rememberedName();
  const id = document.createElement("code");
  id.textContent = referral;
  byId("referral-note").replaceChildren(name ? `You came through a link of ${name}: ` : "An affiliate sent you: ", id);
  byId("referral-note").classList.add("known");
}

rememberedName();
showReferral();
window.addEventListener("affonso_referral_ready", showReferral);

// --- the checkout ---------------------------------------------------------------------------------------------------------

function items() {
  return [...document.querySelectorAll(".bag [data-id]")].map((line) => ({
    id: line.dataset.id,
    quantity: Number(line.dataset.quantity),
  }));
}

async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error);
  return said;
}

function discountText(discount) {
  if (!discount || !discount.amount) return "";
  return discount.type === "percentage" ? `${discount.amount} % off` : `${discount.amount} off`;
}

// What the affiliate side knows of the code. It never decides the price, and its absence never stops the checkout.
async function affiliateSays(code) {
  try {
    return await window.Affonso?.applyCode?.(code);
  } catch {
    return undefined;
  }
}

async function applyCode() {
  const code = byId("promo-code").value.trim();
  const message = byId("code-message");
  message.classList.remove("bad");
  if (!code) { message.textContent = ""; }
  try {
    const [costs, affiliate] = await Promise.all([
      post("/api/quote", { items: items(), promo_code: code }),
      code ? affiliateSays(code) : undefined,
    ]);
    byId("subtotal").textContent = costs.subtotal;
    byId("discount").textContent = costs.discount;
    byId("total").textContent = costs.total;
    if (!code) return;
    const known = Boolean(affiliate) && affiliate.valid !== false;
    const off = costs.percent_off ? `${costs.percent_off} % off` : "";
    if (off) message.textContent = `${code.toUpperCase()}: ${off}.`;
    else if (known) message.textContent = `${code.toUpperCase()} is noted. ${discountText(affiliate.discount)}`.trim();
    else { message.textContent = "We do not know this code."; message.classList.add("bad"); }
    showReferral(); // a code may have brought a referral with it
  } catch (error) {
    message.textContent = error.message;
    message.classList.add("bad");
  }
}

async function placeOrder(event) {
  event.preventDefault();
  const button = byId("place-order");
  const problem = byId("order-error");
  if (!byId("email").reportValidity()) return;
  button.disabled = true;
  problem.textContent = "";
  try {
    const order = await post("/api/orders", {
      items: items(),
      promo_code: byId("promo-code").value.trim(),
      affonso_referral: window.affonso_referral || "",
      email: byId("email").value,
    });
    location.assign(`/thanks?order=${encodeURIComponent(order.order_id)}`);
  } catch (error) {
    problem.textContent = error.message || "That did not work. Please try again.";
    button.disabled = false;
  }
}

if (byId("checkout")) {
  byId("checkout").addEventListener("submit", placeOrder);
  byId("apply-code").addEventListener("click", applyCode);
  byId("promo-code").addEventListener("keydown", (event) => {
    if (event.key === "Enter") { event.preventDefault(); applyCode(); }
  });
}

// --- after the order ------------------------------------------------------------------------------------------------------

// The report may still be on its way when the page is shown.
async function followOrder(orderId, left) {
  const badge = byId("conversion-status");
  if (badge.dataset.status !== "pending" || left === 0) return;
  try {
    const order = await (await fetch(`/api/orders/${encodeURIComponent(orderId)}`)).json();
    badge.dataset.status = badge.textContent = order.conversion_status;
  } catch { /* asked again below */ }
  setTimeout(() => followOrder(orderId, left - 1), 1000);
}

const placed = document.querySelector("[data-order]");
if (placed) followOrder(placed.dataset.order, 120);
