"use client";
import { useState } from "react";

/** A sign-up that is reported as a lead. */
export function Join() {
  const [answer, setAnswer] = useState("");
  async function join(form: FormData) {
    // Your own sign-up goes here. The lead is reported beside it, and waits when the network is away.
    const taken = await window.Affonso?.signup({ email: String(form.get("email")) });
    setAnswer(taken ? "reported" : "not reported");
  }
  return (
    <form id="join" action={join}>
      <input name="email" type="email" aria-label="Email" required />
      <button>Sign up</button> <output>{answer}</output>
    </form>
  );
}
