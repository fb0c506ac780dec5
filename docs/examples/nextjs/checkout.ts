// app/api/checkout/route.ts: a checkout that your server makes carries the click in its metadata.
import { cookies } from "next/headers";
import Stripe from "stripe";

const stripe = new Stripe(process.env.STRIPE_KEY!);

export async function POST(request: Request) {
  const affonso_referral = (await cookies()).get("affonso_referral")?.value ?? "";
  const session = await stripe.checkout.sessions.create({
    mode: "payment",
    line_items: [{ price: process.env.STRIPE_PRICE!, quantity: 1 }],
    metadata: { affonso_referral },
    success_url: new URL("/thanks", request.url).href,
  });
  return Response.redirect(session.url!, 303);
}
