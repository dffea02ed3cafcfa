import { headers } from "next/headers";
import { guard } from "../sessions";

export default async function Page() {
  const user = await guard.component(await headers()); // null: nobody is signed in
  return <p>{user ? `${user.claims.sub} ${user.refreshed}` : "Sign in"}</p>;
}
