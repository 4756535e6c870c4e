// Who has a password, and the links at which users choose one. A link is shown once, to whoever made it: the hub keeps a
// digest. All is asked by POST and DELETE with the page's XSRF token.
(() => {
  "use strict";
  const { api, made, moment } = panels;
  const at = (name) => document.getElementById(`accounts-${name}`);
  const ask = window.fetch;
  const show = (kind, text) => panels.show(at("notices"), kind, text);

  const showLink = (name, { token, expires }) => {
    const link = `${location.origin}${window.jhdata.base_url}invite#${token}`;
    const notice = show("success",
      `The link of ${name}, good once until ${moment(expires)}. It is shown only now: copy it and hand it to ${name} alone.`);
    const row = made("div", "", "input-group mt-2");
    const field = made("input", "", "form-control");
    Object.assign(field, { value: link, readOnly: true });
    field.setAttribute("aria-label", `Link of ${name}`);
    field.onfocus = () => field.select();
    const copy = made("button", "Copy", "btn btn-secondary");
    copy.onclick = async () => {
      await navigator.clipboard.writeText(link).catch(() => {
        field.select();
        document.execCommand("copy");
      });
      copy.textContent = "Copied";
    };
    row.append(field, copy);
    notice.append(row);
  };

  const act = async (method, name) => {
    const answer = await api(method, `users/${encodeURIComponent(name)}/invitation`).catch(() => null);
    const body = answer && answer.status !== 204 ? await answer.json().catch(() => ({})) : {};
    if (!answer?.ok) show("danger", body.message ?? "The hub did not answer. Reload the page.");
    else if (method === "POST") showLink(name, body);
    else show("info", `The link of ${name} is withdrawn.`);
    await refresh();
  };

  const button = (name, text, method) => {
    const one = made("button", text, "btn btn-sm btn-secondary ms-1");
    one.setAttribute("aria-label", `${text}: ${name}`);
    one.onclick = async () => {
      one.disabled = true;
      await act(method, name);
    };
    return one;
  };

  const row = ([name, { password_since, invited_until }]) => {
    const line = document.createElement("tr");
    line.dataset.user = name;
    const actions = made("td", "", "text-end text-nowrap");
    actions.append(button(name, password_since || invited_until ? "New link" : "Invite", "POST"));
    if (invited_until) actions.append(button(name, "Withdraw", "DELETE"));
    line.append(
      made("td", name, "text-break"),
      made("td", password_since ? `since ${moment(password_since)}` : "none"),
      made("td", invited_until ? `good until ${moment(invited_until)}` : "none"),
      actions,
    );
    return line;
  };

  const filter = () => {
    const wanted = at("filter").value.trim().toLowerCase();
    for (const line of at("rows").children) line.hidden = !line.dataset.user.includes(wanted);
  };

  const refresh = async () => {
    const answer = await api("GET", "invitations").catch(() => null);
    if (!answer?.ok) return;
    at("rows").replaceChildren(...Object.entries(await answer.json()).map(row));
    filter();
  };

  // Whoever is added or deleted above.
  const isChange = (url, method) => method !== "GET" && /^users(\/[^/]+)?$/.test(url.pathname.slice(`${window.jhdata.base_url}api/`.length));
  window.fetch = async (resource, options = {}) => {
    const answer = await ask(resource, options);
    if (answer.ok && isChange(new URL(resource.url ?? resource, location), options.method ?? "GET")) refresh();
    return answer;
  };
  at("filter").addEventListener("input", filter);
  refresh();
})();
