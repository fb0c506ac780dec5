import { cookies } from "next/headers";

/** A checkout that your server makes carries the click in its metadata. */
export async function POST() {
  const affonso_referral = (await cookies()).get("affonso_referral")?.value ?? "";
  // Your provider's own call goes here, such as `stripe.checkout.sessions.create({ …, metadata })`.
  return Response.json({ metadata: { affonso_referral } });
}
