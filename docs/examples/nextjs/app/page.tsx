import { Checkout } from "./checkout";
import { Join } from "./join";
import { Referral } from "./referral";

export default function Page() {
  return (
    <main>
      <h1>Shop</h1>
      <Referral />
      {/* The click's id is added to it, before React looks: without suppressHydrationWarning `next dev` calls that a mismatch. */}
      <a id="buy" href="https://buy.stripe.com/your-link" suppressHydrationWarning>
        Buy
      </a>
      <Checkout />
      <Join />
    </main>
  );
}
