"use client";
import { useState } from "react";
import { Referral } from "../referral";

/** A promo code: one that counts is a click of its affiliate. */
export default function Page() {
  const [answer, setAnswer] = useState("");
  async function apply(form: FormData) {
    const found = await window.Affonso?.applyCode(String(form.get("code")));
    setAnswer(found?.valid ? `valid: ${JSON.stringify(found.discount)}` : "unknown");
  }
  return (
    <main>
      <h1>Promo code</h1>
      <Referral />
      <form id="code" action={apply}>
        <input name="code" aria-label="Promo code" required />
        <button>Apply</button> <output>{answer}</output>
      </form>
    </main>
  );
}
