// What each server takes, and what the host has left. It asks while the page can be seen.
(() => {
  "use strict";
  const { api, made } = panels;
  const SOON = 2500; // milliseconds: the hub knows the first figures then
  const EVERY = 5000;
  const NEARLY_FULL = 0.9;
  const NUMBERS = ["memory", "processor", "disk"];
  const section = document.getElementById("servers");
  const host = document.getElementById("servers-host");
  const rows = document.getElementById("servers-rows");
  const headings = [...section.querySelectorAll("th")];

  const memory = (size) => (size < 2 ** 30 ? `${Math.round(size / 2 ** 20)} MB` : `${+(size / 2 ** 30).toFixed(1)} GB`);
  const disk = (size) => (size < 1e9 ? `${Math.round(size / 1e6)} MB` : `${+(size / 1e9).toFixed(1)} GB`);
  const percent = (share) => `${Math.round(100 * share)} %`;
  const used = (words, size, limit) => (size === null ? "–" : words(size) + (limit ? ` of ${words(limit)}` : ""));
  const span = (seconds) => {
    const minutes = Math.max(0, Math.round(seconds / 60));
    if (minutes < 60) return `${minutes} min`;
    return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${Math.floor(minutes / 1440)} days`;
  };
  const STATES = { runs: "runs", spawn: "starts", stop: "stops" };
  const clock = (seconds) => {
    const when = new Date(seconds * 1000);
    if (seconds - Date.now() / 1000 > 6 * 86400) return when.toLocaleDateString([], { dateStyle: "medium" });
    const isToday = when.toDateString() === new Date().toDateString();
    return when.toLocaleString([], { weekday: isToday ? undefined : "short", hour: "2-digit", minute: "2-digit" });
  };
  const stops = ({ stops: at, by_age: byAge }) => (at === null ? "–" : clock(at) + (byAge ? ", by age" : ""));
  const isFull = (size, limit) => size !== null && limit && size >= NEARLY_FULL * limit;

  const row = (one) => {
    const line = document.createElement("tr");
    line.dataset.server = one.user;
    const idle = one.active === null ? "–" : span(Date.now() / 1000 - one.active);
    const full = (size, limit) => (isFull(size, limit) ? "fw-bold text-danger-emphasis" : "");
    line.append(
      made("th", one.user, "fw-normal"),
      made("td", [one.kind, ...one.cards].join(", ")),
      made("td", one.place ? `waits, ${one.place}. in the queue` : STATES[one.state] ?? one.state),
      made("td", used(memory, one.memory, one.memory_limit), full(one.memory, one.memory_limit)),
      made("td", used(percent, one.processor, one.cpu_limit)),
      made("td", used(disk, one.disk, one.disk_limit), full(one.disk, one.disk_limit)),
      made("td", idle),
      made("td", stops(one)),
    );
    Object.assign(line.firstChild, { scope: "row", title: one.user });
    [...line.children].forEach((cell, number) => (cell.dataset.column = headings[number].dataset.column));
    return line;
  };

  // What is not known comes last, either way.
  let sorted = { by: "user", down: false };
  const order = (one, other) => {
    const [a, b] = [one[sorted.by], other[sorted.by]];
    if (a === null || b === null) return (a === null) - (b === null);
    const found = typeof a === "number" ? a - b : String(a).localeCompare(String(b));
    return (sorted.down ? -found : found) || one.user.localeCompare(other.user);
  };

  const inWords = ({ memory: all, available, taken, room, cards }, servers) => {
    const waiting = servers.filter(({ place }) => place).length;
    const running = servers.filter(({ state }) => state === "runs").length;
    const left = room.filter((one) => one.left !== null).map((one) => (room.length > 1 ? `${one.left} ${one.kind}` : one.left));
    return [
      running === 1 ? "One server runs." : `${running || "No"} servers run.`,
      taken ? `Servers take ${memory(taken)} of the host's ${memory(all)} of memory, ${memory(available)} are free.`
        : `${memory(available)} of the host's ${memory(all)} of memory are free.`,
      cards ? `${cards.free} of ${cards.all} cards (GPUs) are free.` : "",
      left.length ? `There is room for ${left.join(" or ")} more.` : "",
      waiting ? `${waiting} in the queue.` : "",
    ].join(" ");
  };

  let last = null;
  const show = () => {
    const { servers, host: found } = last;
    host.textContent = inWords(found, servers);
    section.querySelector(".servers-table").hidden = servers.length === 0;
    section.classList.toggle("one-kind", found.room.length === 1 && !found.cards);
    rows.replaceChildren(...[...servers].sort(order).map(row));
    for (const one of headings) {
      const direction = sorted.down ? "descending" : "ascending";
      one.setAttribute("aria-sort", one.dataset.column === sorted.by ? direction : "none");
    }
  };
  for (const one of headings) {
    one.firstChild.onclick = () => {
      const by = one.dataset.column;
      sorted = { by, down: sorted.by === by ? !sorted.down : NUMBERS.includes(by) };
      if (last) show();
    };
  }

  let timer = null;
  const refresh = async () => {
    clearTimeout(timer);
    if (document.hidden || section.hidden) return;
    const isFirst = last === null;
    const answer = await api("GET", "load").catch(() => null);
    if (answer?.ok) {
      last = await answer.json();
      show();
    } else {
      host.textContent = "The hub does not answer; these figures are old.";
    }
    clearTimeout(timer);
    timer = setTimeout(refresh, isFirst ? SOON : EVERY);
  };
  document.addEventListener("visibilitychange", refresh);
  window.addEventListener("hashchange", refresh);
  refresh();
})();
