// JupyterLab opens its launcher only when it has saved the layout that it has just read, a second after all else is there.
// This opens it when the layout is there, where JupyterLab would: in an empty main area, unless a file is about to open.
// And it asks then for the formats that a notebook can be exported to, for which the server imports nbconvert: the first
// notebook, which asks for them too, would wait with its kernel. Messages to the user come last, from notices.js.
"use strict";

(() => {
  const noticesUrl = document.currentScript.src.replace("remoteEntry.js", "notices.js");
  let modules = {};

  const fileIsToOpen = () =>
    Boolean(JSON.parse(document.getElementById("jupyter-config-data")?.textContent || "{}").treePath);

  // A module of JupyterLab, which has one version of each.
  const shared = async (name) => (await Object.values(modules[name])[0].get())();

  const plugin = {
    id: "head-start:plugin",
    autoStart: true,
    activate: (app) => {
      const launcherIsWanted = !fileIsToOpen();
      app.restored.then(async () => {
        if (launcherIsWanted && app.commands.hasCommand("launcher:create") && app.shell.isEmpty("main")) {
          await app.commands.execute("launcher:create");
        }
        // JupyterLab keeps the answer. Without one its own menu asks again.
        app.serviceManager.nbconvert?.getExportFormats(false).catch(() => {});
        const notices = await import(noticesUrl);
        await notices.show(app, shared);
      });
    },
  };

  // What webpack's module federation, by which JupyterLab loads extensions, asks of one.
  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB["head-start"] = {
    init: (scope) => {
      modules = scope;
    },
    get: async () => () => ({ __esModule: true, default: plugin }),
  };
})();
