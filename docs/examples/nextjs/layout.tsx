// app/layout.tsx
/// <reference types="usher-snippet" />
import Script from "next/script";
import type { ReactNode } from "react";

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <body>
        {children}
        <Script
          strategy="beforeInteractive"
          src="/r/pixel.js"
          data-affonso="cm4ya9sik0009l9fbcvl9m05z"
          data-cookie_duration="30"
          data-api-base="/r"
        />
      </body>
    </html>
  );
}
