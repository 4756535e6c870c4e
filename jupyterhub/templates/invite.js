// The token stands behind the # of the address, so no server and no log gets it with a request. It is taken out of the
// address at once, kept in this page alone, and posted. When the hub has the password, the form signs in as any other.
(() => {
  "use strict";
  const ASK = " Ask whoever runs this hub for a new link.";
  const WORDS = {
    used: "This link has been used: the password is chosen. Sign in with it. If it was not you who chose it, or you forgot it, ask whoever runs this hub for a new link.",
    expired: `This link has expired.${ASK}`,
    withdrawn: `This link is no longer good: it was withdrawn, or a newer one took its place. Look for a newer one.${ASK}`,
    unknown: `This link is not one of this hub's. Was it copied to its end?${ASK}`,
    missing: `This address is not whole: what stands behind the # is missing. Copy the link to its end.${ASK}`,
    lost: "The hub did not answer as it should. Reload the page from the link that you got; nothing is lost.",
  };
  const at = (name) => document.getElementById(`invite-${name}`);
  const form = at("form");
  const token = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);

  const say = (state) => {
    form.hidden = true;
    at("words").textContent = WORDS[state] ?? WORDS.lost;
    if (state === "used") {
      const link = document.createElement("a");
      link.href = `${window.jhdata.base_url}login`;
      link.className = "btn btn-jupyter d-block mt-3";
      link.textContent = "Sign in";
      at("words").append(link);
    }
  };
  const complain = (fault) => {
    at("fault").textContent = fault;
    at("fault").hidden = !fault;
  };
  const post = async (more) => {
    try {
      const body = new URLSearchParams({ _xsrf: window.jhdata.xsrf_token, token, ...more });
      const answer = await fetch(`${window.jhdata.base_url}invite`, { method: "POST", body });
      return answer.ok ? await answer.json() : { state: "lost" };
    } catch {
      return { state: "lost" };
    }
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    const password = at("password").value;
    if (password !== at("again").value) return complain("The two passwords differ.");
    complain("");
    button.disabled = true;
    const { state, fault } = await post({ password });
    button.disabled = false;
    // without this listener
    if (state === "done") return form.submit();
    if (state !== "open") return say(state);
    complain(fault);
    at("password").focus();
  });

  (async () => {
    if (!token) return say("missing");
    const { state, name } = await post({});
    if (state !== "open") return say(state);
    at("words").textContent = "This link is yours alone, and it serves once.";
    at("name").value = name;
    form.hidden = false;
    at("password").focus();
  })();
})();
