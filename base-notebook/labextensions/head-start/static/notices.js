// Shows what the server tells its user: messages at the top of the page, memory in the status bar, and in a notebook why
// its kernel ended. Texts are shown as text, never as HTML. remoteEntry.js asks for this when the launcher is there.

const EVENT = "urn:hub-notices:state";
const NEARLY_FULL = 0.9;
// JupyterLab opens its dialog about a dead kernel a moment before or after our message comes.
const DIALOG_WITHIN = 3000;
const LOOK_EVERY = 100;

const STYLE = `
#hub-notices { overflow: hidden; }
#hub-notices ul { list-style: none; margin: 0; padding: 0; max-width: 100vw; max-height: 30vh; overflow-y: auto; }
#hub-notices li {
  display: flex; align-items: flex-start; gap: 12px; padding: 6px 12px;
  color: var(--jp-ui-font-color0); background: var(--jp-layout-color1); font-size: var(--jp-ui-font-size1);
  border-left: 6px solid var(--jp-info-color1); border-bottom: var(--jp-border-width) solid var(--jp-border-color1);
}
#hub-notices li[data-level="warning"] { border-left-color: var(--jp-warn-color1); }
#hub-notices span { flex: 1; white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.5; }
#hub-notices button {
  padding: 2px 10px; cursor: pointer; font: inherit; color: inherit; background: var(--jp-layout-color2);
  border: 1px solid var(--jp-border-color0); border-radius: var(--jp-border-radius);
}
#hub-memory.hub-nearly-full { font-weight: bold; }
.hub-reason { margin-top: 12px; max-width: 40em; }
`;

const element = (name, properties) => Object.assign(document.createElement(name), properties);
const pause = (time) => new Promise((done) => setTimeout(done, time));
const inWords = (size) =>
  size < 2 ** 30 ? `${Math.round(size / 2 ** 20)} MiB` : `${+(size / 2 ** 30).toFixed(1)} GiB`;

// `app` is JupyterLab; `shared` gives a module of its own by name.
export async function show(app, shared) {
  const { ServerConnection } = await shared("@jupyterlab/services");
  const { Widget } = await shared("@lumino/widgets");
  const settings = app.serviceManager.serverSettings;
  const ask = (method, id = "") =>
    ServerConnection.makeRequest(`${settings.baseUrl}api/hub-notices${id && `/${id}`}`, { method }, settings);

  const answer = await ask("GET");
  if (!answer.ok) {
    return;
  }
  document.head.append(element("style", { textContent: STYLE }));
  const explained = new Set();
  const markRead = (notice) => notice.until === "read" && ask("DELETE", encodeURIComponent(notice.id)).catch(() => {});
  const banner = topOfPage(app, Widget, markRead);
  const memory = await statusBar(app, shared, Widget);
  const explain = await notebooks(app, shared);

  let newest = 0;
  const take = ({ at, memory: used, notices }) => {
    if (at < newest) {
      return;
    }
    newest = at;
    memory(used);
    for (const notice of notices.filter(({ id, kernel }) => kernel && !explained.has(id))) {
      if (explain(notice)) {
        explained.add(notice.id);
        markRead(notice);
      }
    }
    banner(notices.filter(({ id }) => !explained.has(id)));
  };
  app.serviceManager.events.stream.connect((_, event) => event.schema_id === EVENT && take(event.state));
  take(await answer.json());
}

// Gives a function that shows a list of messages, each until it is closed.
function topOfPage(app, Widget, markRead) {
  const list = element("ul", {});
  const widget = new Widget({ node: element("div", { role: "status" }) });
  widget.id = "hub-notices";
  widget.node.append(list);
  app.shell.add(widget, "header");
  new ResizeObserver(() => {
    widget.node.style.minHeight = `${list.offsetHeight}px`;
    widget.parent?.fit();
  }).observe(list);

  // By id: a message that is shown, with its text, and the text that was closed. Another text is another message.
  const items = new Map();
  const closed = new Map();
  const add = (notice) => {
    const item = element("li", {});
    item.dataset.level = notice.level;
    const button = element("button", { textContent: notice.button, ariaLabel: `${notice.button}: ${notice.text}` });
    button.onclick = () => {
      closed.set(notice.id, notice.text);
      remove(notice.id);
      markRead(notice);
    };
    item.append(element("span", { textContent: notice.text }), button);
    list.append(item);
    items.set(notice.id, { item, text: notice.text });
  };
  const remove = (id) => {
    items.get(id)?.item.remove();
    items.delete(id);
  };
  return (notices) => {
    const wanted = notices.filter(({ id, text }) => closed.get(id) !== text);
    const texts = new Map(wanted.map(({ id, text }) => [id, text]));
    [...items].filter(([id, { text }]) => texts.get(id) !== text).forEach(([id]) => remove(id));
    wanted.filter(({ id }) => !items.has(id)).forEach(add);
  };
}

// Gives a function that shows how much memory is used; without a limit it shows nothing.
async function statusBar(app, shared, Widget) {
  const { IStatusBar } = await shared("@jupyterlab/statusbar");
  const bar = await app.resolveOptionalService(IStatusBar);
  const item = new Widget({ node: element("div", {}) });
  const text = item.node.appendChild(element("span", { className: "jp-StatusBar-TextItem" }));
  item.id = "hub-memory";
  item.node.title = "Memory that kernels, terminals and files in /dev/shm use, of what this server may use";
  item.hide();
  bar?.registerStatusItem("hub-notices:memory", { item, align: "left", rank: 10 });
  return (memory) => {
    item.setHidden(!memory);
    if (memory) {
      const full = memory.used >= NEARLY_FULL * memory.limit;
      item.toggleClass("hub-nearly-full", full);
      text.textContent =
        `Memory: ${inWords(memory.used)} of ${inWords(memory.limit)}` + (full ? ", nearly full" : "");
    }
  };
}

// Gives a function that writes a message about a kernel below the cell that it ran; false if there is no such cell.
async function notebooks(app, shared) {
  const { INotebookTracker } = await shared("@jupyterlab/notebook");
  const tracker = await app.resolveOptionalService(INotebookTracker);
  // Panel -> the cells that were sent to the kernel and not answered, and the one that ran when the kernel ended.
  const runs = new WeakMap();
  const listen = (panel, kernel) => {
    const run = { sent: [], ended: null };
    runs.set(panel, run);
    kernel?.anyMessage.connect((_, { msg, direction }) => {
      if (direction === "send" && msg.header.msg_type === "execute_request" && msg.metadata.cellId) {
        run.sent.push({ request: msg.header.msg_id, cell: msg.metadata.cellId });
        run.ended = null;
      } else if (msg.header.msg_type === "execute_reply") {
        run.sent = run.sent.filter(({ request }) => request !== msg.parent_header.msg_id);
      } else if (msg.header.msg_type === "status" && /restarting|dead/.test(msg.content.execution_state)) {
        run.ended = run.sent[0] ?? run.ended;
        run.sent = [];
      }
    });
  };
  const watch = (panel) => {
    listen(panel, panel.sessionContext.session?.kernel);
    panel.sessionContext.kernelChanged.connect((_, { newValue }) => listen(panel, newValue));
  };
  tracker?.forEach(watch);
  tracker?.widgetAdded.connect((_, panel) => watch(panel));

  return ({ kernel, text }) => {
    const panel = tracker?.find((one) => one.sessionContext.session?.kernel?.id === kernel);
    const run = runs.get(panel);
    const ran = run?.sent[0] ?? run?.ended;
    const cell = ran && panel.content.widgets.find(({ model }) => model.sharedModel.getId() === ran.cell);
    if (!cell) {
      return false;
    }
    cell.model.outputs.add({ output_type: "stream", name: "stderr", text: `${text}\n` });
    addToDialog(panel.sessionContext.session.path, text);
    return true;
  };
}

// JupyterLab's own dialog says that the kernel of `path` died, and not why.
async function addToDialog(path, text) {
  for (let waited = 0; waited < DIALOG_WITHIN; waited += LOOK_EVERY) {
    const bodies = [...document.querySelectorAll(".jp-Dialog-body")];
    const body = bodies.find((one) => one.textContent.includes(path) && !one.querySelector(".hub-reason"));
    if (body) {
      body.append(element("div", { className: "hub-reason", textContent: text }));
      return;
    }
    await pause(LOOK_EVERY);
  }
}
