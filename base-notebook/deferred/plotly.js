// Plotly's renderer for JupyterLab is 5 MB of JavaScript, which JupyterLab loads and compiles at each start. This stands for
// it, under its name, and loads it when the first figure shows. defer_plotly.py fills in ORIGINAL.
"use strict";

(() => {
  const NAME = "jupyterlab-plotly";
  const MIME_TYPE = "application/vnd.plotly.v1+json";
  const original = new URL("ORIGINAL", document.currentScript.src).href;
  let modules = {};
  let loading = null;

  const loadScript = (address) =>
    new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = address;
      script.onload = resolve;
      script.onerror = () => reject(new Error(`${address} cannot be loaded`));
      document.head.append(script);
    });

  // The original takes its name in window._JUPYTERLAB when its script runs.
  const load = async () => {
    await loadScript(original);
    const container = window._JUPYTERLAB[NAME];
    await container.init(modules);
    const extension = (await container.get("./mimeExtension"))().default;
    return [extension].flat()[0].rendererFactory;
  };

  const rendererFactory = () => {
    loading ??= load().catch((error) => {
      loading = null;
      throw error;
    });
    return loading;
  };

  const mimeExtension = (Panel) => {
    class Figure extends Panel {
      constructor(options) {
        super();
        this.options = options;
        this.node.style.height = "100%";
      }

      async renderModel(model) {
        const factory = await rendererFactory();
        if (this.isDisposed) {
          return;
        }
        if (!this.figure) {
          this.figure = factory.createRenderer(this.options);
          this.addWidget(this.figure);
        }
        await this.figure.renderModel(model);
      }
    }

    return {
      id: "@jupyterlab/plotly-extension:factory",
      rendererFactory: { safe: true, mimeTypes: [MIME_TYPE], createRenderer: (options) => new Figure(options) },
      rank: 2,
      dataType: "json",
      fileTypes: [
        {
          name: "plotly",
          mimeTypes: [MIME_TYPE],
          extensions: [".plotly", ".plotly.json"],
          iconClass: "jp-MaterialIcon jp-PlotlyIcon",
        },
      ],
      documentWidgetFactoryOptions: {
        name: "Plotly",
        primaryFileType: "plotly",
        fileTypes: ["plotly", "json"],
        defaultFor: ["plotly"],
      },
    };
  };

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB[NAME] = {
    init: (scope) => {
      modules = scope;
    },
    get: async () => {
      const widgets = (await Object.values(modules["@lumino/widgets"])[0].get())();
      return () => ({ __esModule: true, default: [mimeExtension(widgets.Panel)] });
    },
  };
})();
