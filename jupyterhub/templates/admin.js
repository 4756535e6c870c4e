// What JupyterHub's admin page leaves out: a server that starts is shown when it runs, the hub's reason for a refusal is
// shown in words, and who deletes a user of the userlist learns that the list brings the account back.
(() => {
  "use strict";
  const LISTED = new Set({{ listed_users | tojson }});
  const LOOK_EVERY = 1000; // milliseconds
  const ask = window.fetch;
  const pause = () => new Promise((resume) => setTimeout(resume, LOOK_EVERY));
  const api = (path) => `${window.jhdata.base_url}api/${path}`;

  const show = (role, kind, text) => {
    const notice = document.createElement("div");
    notice.className = `alert alert-${kind} alert-dismissible`;
    notice.setAttribute("role", role);
    notice.textContent = text;
    const close = document.createElement("button");
    close.className = "btn-close";
    close.setAttribute("aria-label", "Close");
    close.onclick = () => notice.remove();
    notice.append(close);
    document.getElementById("admin-notices").append(notice);
  };

  // The hub answers a start at once; the page asks for the list again when it has this answer.
  const started = async (user) => {
    for (;;) {
      await pause();
      const answer = await ask(`${api(`users/${user}`)}?_xsrf=${window.jhdata.xsrf_token}`);
      if (!answer.ok) return answer;
      const server = (await answer.json()).servers?.[""];
      if (server?.pending) continue;
      if (server?.ready) return new Response(null, { status: 201 });
      const name = decodeURIComponent(user);
      show("alert", "danger", `The server of ${name} did not start. The operator sees why with ./invoke logs --user ${name}.`);
      return new Response(null, { status: 500 });
    }
  };

  // Controls that JupyterHub gives a picture or a loose text alone, or no name.
  const name = (selector, words) =>
    document.querySelectorAll(selector).forEach((one) => {
      if (!one.hasAttribute("aria-label")) one.setAttribute("aria-label", words(one));
    });
  new MutationObserver(() => {
    name("[data-testid$='-collapse-button']", (one) => `Details of ${one.dataset.testid.replace(/-collapse-button$/, "")}`);
    name("#admin-check", () => "Admin");
  }).observe(document, { childList: true, subtree: true });

  // Panels of our own stand beside the list of users, and not on the pages of one user or group.
  const isList = () => /^(#\/?)?$/.test(location.hash.split("?")[0]);
  const place = () => document.querySelectorAll(".beside-list").forEach((one) => (one.hidden = !isList()));
  window.addEventListener("hashchange", place);
  document.addEventListener("DOMContentLoaded", place);

  // Loading the page anew would lose what it shows only once, such as a link, what is being typed, and an action on its way.
  let asked = 0;
  let answered = -Infinity;
  const isInUse = () =>
    asked > 0 || performance.now() - answered < 2 * LOOK_EVERY ||
    document.querySelector("#admin-notices .alert, #accounts-notices .alert, #broadcasts-notices .alert") ||
    document.getElementById("accounts-filter")?.value || document.getElementById("broadcasts-text")?.value || document.activeElement?.matches("input, textarea");
  const counted = (method, call) => {
    if (method === "GET") return call;
    asked++;
    return call.finally(() => {
      asked--;
      answered = performance.now();
    });
  };

  // A server that others start or stop.
  const isPending = (user) => user.server !== undefined && Object.values(user.servers ?? {}).some((one) => one.pending);
  const pendingIn = (list) => (list.items ?? list).filter(isPending).map((user) => user.name).join();
  let watched = null;
  const watch = async (url, options, list) => {
    // of several lists the last one is watched
    const mine = (watched = {});
    const before = pendingIn(list);
    while (before && watched === mine) {
      await pause();
      const answer = isInUse() ? null : await ask(url, options);
      if (!answer?.ok || pendingIn(await answer.json()) === before || isInUse()) continue;
      // Anywhere else in the page, what was typed would be lost.
      if (watched === mine && isList()) location.reload();
      return;
    }
  };

  window.fetch = async (resource, options = {}) => {
    const method = options.method ?? "GET";
    const answer = await counted(method, ask(resource, options));
    const url = new URL(resource.url ?? resource, location);
    const [kind, user, rest] = url.pathname.slice(api("").length).split("/");
    if (kind === "users" && method === "GET" && !user && answer.ok) {
      answer.clone().json().then((list) => watch(resource, options, list));
    } else if (kind === "users" && method === "POST" && /^servers?$/.test(rest) && answer.status < 300) {
      return started(user);
    } else if (kind === "users" && method === "DELETE" && !rest && answer.ok && LISTED.has(decodeURIComponent(user))) {
      const name = decodeURIComponent(user);
      show("status", "warning",
        `${name} stands on the userlist, so the account comes back when the hub starts next. It stays away when the ` +
        `operator takes the line of ${name} out of userlist and runs ./invoke up.`);
    } else if (method !== "GET" && !answer.ok) {
      const message = await answer.clone().json().then((body) => body.message, () => "");
      if (message) show("alert", "danger", message);
    }
    return answer;
  };
})();
