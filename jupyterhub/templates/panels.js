// What the hub's own panels of the admin page share. Texts are shown as text, never as HTML.
const panels = (() => {
  "use strict";
  const ask = window.fetch;
  const api = (method, path, body) =>
    ask(`${window.jhdata.base_url}api/${path}`, {
      method,
      headers: { "Content-Type": "application/json", "X-XSRFToken": window.jhdata.xsrf_token },
      body: body && JSON.stringify(body),
    });
  const moment = (seconds) => new Date(seconds * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  const made = (tag, text, kind = "") => Object.assign(document.createElement(tag), { textContent: text, className: kind });

  // Replaces what `place` has shown.
  const show = (place, kind, text) => {
    const notice = made("div", text, `alert alert-${kind} alert-dismissible`);
    const close = made("button", "", "btn-close");
    close.setAttribute("aria-label", "Close");
    close.onclick = () => notice.remove();
    notice.append(close);
    place.replaceChildren(notice);
    return notice;
  };
  return { api, made, moment, show };
})();
