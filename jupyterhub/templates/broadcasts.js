// Notices of admins: who shall read them, for how long, and those that are shown now. All changes are asked by POST and
// DELETE with the page's XSRF token.
(() => {
  "use strict";
  const { api, made, moment } = panels;
  const at = (name) => document.getElementById(`broadcasts-${name}`);
  const say = (kind, text) => panels.show(at("notices"), kind, text);
  const people = (group) => (group ? `the group ${group}` : "everybody");

  const change = async (method, path, body, done) => {
    const answer = await api(method, path, body).catch(() => null);
    if (answer?.ok) {
      say("success", done);
    } else {
      const { message } = answer ? await answer.json().catch(() => ({})) : {};
      say("danger", message ?? "The hub did not answer. Reload the page.");
    }
    await refresh();
    return Boolean(answer?.ok);
  };

  const line = (notice) => {
    const item = made("li", "", "d-flex gap-3 align-items-start border-top py-2");
    const words = made("div", "", "flex-grow-1");
    words.append(
      made("div", notice.text, "hub-announcement"),
      made("small", `to ${people(notice.people)}, by ${notice.by}, until ${moment(notice.until)}`, "text-body-secondary"),
    );
    const button = made("button", "Take back", "btn btn-sm btn-secondary text-nowrap");
    button.setAttribute("aria-label", `Take back: ${notice.text}`);
    button.onclick = () => {
      button.disabled = true;
      change("DELETE", `broadcasts/${notice.number}`, undefined, "The notice is shown no longer.");
    };
    item.append(words, button);
    return item;
  };

  const refresh = async () => {
    const answer = await api("GET", "broadcasts").catch(() => null);
    if (!answer?.ok) return;
    const { notices, groups } = await answer.json();
    const chosen = at("group").value;
    const options = groups.map((name) => Object.assign(made("option", `Group ${name}`), { value: name }));
    at("group").replaceChildren(at("group").firstElementChild, ...options);
    at("group").value = groups.includes(chosen) ? chosen : "";
    at("shown").replaceChildren(...notices.map(line));
    if (notices.length) at("form").closest("details").open = true;
  };

  at("form").onsubmit = async (event) => {
    event.preventDefault();
    const [text, group, minutes] = ["text", "group", "minutes"].map((name) => at(name).value);
    const button = at("form").querySelector("button");
    button.disabled = true;
    const sent = { text, group, minutes: Number(minutes) };
    if (await change("POST", "broadcasts", sent, `The notice to ${people(group)} is sent.`)) at("text").value = "";
    button.disabled = false;
  };
  refresh();
})();
