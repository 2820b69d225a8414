// Signing in: where the service needs a key, the page asks for it once, and gets a cookie that no script can read.

import { getSession, signIn, signOut } from "./api.js";
import { byId } from "./dom.js";

/** Resolves once the page may use the service: at once, or after someone has signed in. */
export async function signedIn() {
  const session = await getSession().catch((problem) => problem);
  const needed = session.document?.status === 401;
  if (needed) await asked();
  byId("layout").hidden = false;
  byId("sign-out").hidden = !(needed || session.key);
  byId("sign-out").addEventListener("click", async () => {
    await signOut();
    location.reload();
  });
}

function asked() {
  const form = byId("sign-in");
  const page = byId("sign-in-page");
  page.hidden = false;
  byId("key").focus();
  return new Promise((resolve) => {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const refusal = byId("sign-in-problem");
      refusal.hidden = true;
      try {
        await signIn(byId("key").value.trim());
      } catch (problem) {
        refusal.textContent = problem.message;
        refusal.hidden = false;
        return;
      }
      byId("key").value = "";
      page.hidden = true;
      resolve();
    });
  });
}
