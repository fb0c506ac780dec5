import Link from "next/link";
import Script from "next/script";
import type { ReactNode } from "react";

export const metadata = { title: "Shop", icons: "data:," };

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <body>
        <nav>
          <Link href="/">Shop</Link> · <Link href="/code">Promo code</Link>
        </nav>
        {children}
        {/* What `usher snippet --site shop` prints. With "afterInteractive" a payment link that is followed before React is up lacks the id. */}
        <Script
          strategy="beforeInteractive"
          src="/k3/u2yprk.js"
          data-affonso="cm4ya9sik0009l9fbcvl9m05z"
          data-cookie_duration="30"
          data-api-base="/k3"
        />
      </body>
    </html>
  );
}
