// The page behind the links that let somebody in: an invitation, or a password to be set anew.
// Owns: taking the token from behind the `#`, out of the address at once, and sending it with a password to our own server.
// Never: stores the token, shows it, or sends it anywhere else; sets innerHTML.

const PAGES = {
  "/account/accept": {
    title: "Accept the invitation",
    lead: "Choose how you are called and a password.",
    button: "Accept",
    path: "/api/v1/auth/accept",
    done: "You have an account now. You can log in with this password.",
    named: true,
  },
  "/account/recover": {
    title: "Set a new password",
    lead: "When it is set, you are logged out everywhere.",
    button: "Set the password",
    path: "/api/v1/auth/recover",
    done: "The password is set. You can log in with it.",
    named: false,
  },
};

const at = (id) => document.getElementById(id);
const page = PAGES[location.pathname];
const token = location.hash.slice(1);
// Whoever looks over a shoulder or into the history finds no token.
history.replaceState(null, "", location.pathname);

if (page) {
  document.title = page.title;
  at("title").textContent = page.title;
  at("send").textContent = page.button;
  at("named").hidden = !page.named;
  at("name").required = page.named;
  if (token) {
    at("lead").textContent = page.lead;
    at("form").hidden = false;
  } else {
    at("lead").textContent = "This link is not whole. Open it as it was sent to you.";
  }
}

at("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  at("send").disabled = true;
  at("status").textContent = "One moment…";
  const said = await send();
  at("send").disabled = false;
  at("status").textContent = said;
});

async function send() {
  const body = { token, password: at("password").value };
  if (page.named) body.full_name = at("name").value;
  try {
    const answer = await fetch(page.path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      credentials: "omit",
    });
    if (!answer.ok) return (await answer.json()).error.message;
  } catch {
    return "The server does not answer at the moment. Try again in a few seconds.";
  }
  at("form").hidden = true;
  at("lead").textContent = "";
  return page.done;
}
