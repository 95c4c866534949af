// MLflow's own front-end, unmodified, from the wheel of MLflow 3.17, on our server: each page shows what was logged,
// nothing appears in the console, and no request fails but those listed here.

import assert from "node:assert/strict";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";

import { launch, openTab } from "./chromium.mjs";
import { fill, names } from "./content.mjs";
import { start, stockUi } from "./trackway.mjs";

const LOOK_MS = 30_000;

/** What every page asks for and a server may lack. */
const TOLERATED = [
  { method: "GET", path: /\/users\/current$/, status: 404, because: "stock answers the same without its user plugin" },
  { method: "GET", path: /\/assistant\//, status: 404, because: "there is no assistant; the page shows its leaflet" },
];

const TRACES = [
  { method: "POST", path: /\/traces\/(search|metrics)$/, status: 501, because: "traces are not built yet, and it says so" },
  { method: "POST", path: /\/datasets\/search$/, status: 501, because: "nor are evaluation datasets" },
  { method: "GET", path: /\/scorers\/list$/, status: 501, because: "nor are scorers" },
];

const SHOWS_AN_ERROR = /Failed to load|Couldn't load|Something went wrong|not built yet|Page Not Found|Internal Server Error/i;

let server, browser, ids, shots;

before(async () => {
  shots = process.env.TRACKWAY_SCREENSHOTS ?? (await mkdtemp(path.join(tmpdir(), "trackway-screenshots-")));
  server = await start({ flags: ["--ui-dir", await stockUi()] });
  ids = await fill(server.api);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** Opens a page of the front-end, waits for each of the texts, goes on with `look`, and holds it to silence. */
function page(title, hash, texts, { look, tolerated = [], mayShowAnError = false } = {}) {
  test(title, { timeout: 120_000 }, async (t) => {
    const tab = await openTab(browser.context, server.url, [...TOLERATED, ...tolerated]);
    const shot = path.join(shots, `${title.replaceAll(/\W+/g, "-")}.png`);
    try {
      await tab.page.goto(`${server.url}/#${hash(ids)}`);
      for (const text of texts) await see(tab.page, text);
      await look?.(tab.page);
      // Notices of errors come a moment later.
      await tab.page.waitForTimeout(1000);
      if (!mayShowAnError) assert.doesNotMatch(await tab.page.innerText("body"), SHOWS_AN_ERROR);
      assert.deepEqual(tab.complaints, []);
    } finally {
      await tab.page.screenshot({ path: shot });
      t.diagnostic(`screenshot: ${shot}`);
      await tab.page.close();
    }
  });
}

async function see(tab, text, timeout = LOOK_MS) {
  await tab.getByText(text, { exact: typeof text === "string" }).filter({ visible: true }).first()
    .waitFor({ timeout });
}

/** Waits until a chart draws a line of more than a few points. */
async function seeLine(tab) {
  const drawn = (path) => (path.getAttribute("d") ?? "").split(/[LHVCQ]/).length > 10;
  await tab.waitForFunction(
    `[...document.querySelectorAll(".scatterlayer path.js-line")].some(${drawn})`, undefined, { timeout: LOOK_MS },
  );
}

page("home", () => "/", ["Welcome to MLflow", names.experiment, names.empty]);

page("experiments", () => "/experiments", [names.experiment, names.empty, "Default"]);

page("runs of an experiment", ({ experiment }) => `/experiments/${experiment}/runs`, ["Training runs", names.parent], {
  async look(tab) {
    await expand(tab);
    for (const name of names.runs) await see(tab, name);
    await see(tab, /customers/);
  },
});

/** Opens the parent run of the runs table, which forgets a click while it is still drawn for the first time. */
async function expand(tab) {
  await see(tab, /4\s+matching runs/);
  for (let tries = 0; tries < 10; tries++) {
    await tab.locator(".ag-row", { hasText: names.parent }).getByRole("button").first().click();
    const opened = see(tab, names.runs[0], 3000);
    if (await opened.then(() => true, () => false)) return;
  }
  assert.fail(`The run ${names.parent} does not show its children.`);
}

page("an empty experiment", ({ empty }) => `/experiments/${empty}/runs`, ["Training runs", "No runs logged"]);

page("charts of an experiment", ({ experiment }) => `/experiments/${experiment}/runs?compareRunsMode=CHART`, [names.parent], {
  async look(tab) {
    await expand(tab);
    await see(tab, /^val\s*\(1\)/);
    await see(tab, /Model metrics\s*\(3\)/);
    await see(tab, /slow learner \(val/);
    await seeLine(tab);
  },
});

page(
  "a run",
  ({ experiment, runs }) => `/experiments/${experiment}/runs/${runs[0]}`,
  ["fast learner", "ada", "Finished", names.parent, "customers (4c1e2f90)", /stage/, new RegExp(names.model)],
  {
    async look(tab) {
      await see(tab, "Metrics (4)");
      await see(tab, "Parameters (3)");
      await see(tab, "0.9");
      await see(tab, "learning_rate");
    },
  },
);

page("a run's charts", ({ experiment, runs }) => `/experiments/${experiment}/runs/${runs[0]}/model-metrics`, ["loss", "final_score"], {
  look: seeLine,
});

page("a run that ended with NaN", ({ experiment, runs }) => `/experiments/${experiment}/runs/${runs[2]}`, ["diverged", "Failed"]);

page("a run's artifacts", ({ experiment, runs }) => `/experiments/${experiment}/runs/${runs[0]}/artifacts`, ["report", "config.json"], {
  async look(tab) {
    await tab.getByText("config.json").first().click();
    await see(tab, /"depth"/);
    await tab.getByText("report", { exact: true }).first().click();
    await tab.getByText("summary.txt").first().click();
    await see(tab, /precision 0\.91/);
  },
});

const compared = ({ experiment, runs }) => {
  const list = (items) => encodeURIComponent(JSON.stringify(items));
  return `/compare-runs?runs=${list(runs)}&experiments=${list([experiment])}`;
};
page("runs compared", compared, ["Comparing 3 Runs from 1 Experiment", "Parallel Coordinates Plot", ...names.runs]);

page("a metric of compared runs", ({ experiment, runs }) =>
  `/metric?runs=${encodeURIComponent(JSON.stringify(runs.slice(0, 2)))}&metric=%22loss%22&experiments=${encodeURIComponent(JSON.stringify([experiment]))}`
  + "&plot_metric_keys=%5B%22loss%22%5D", [/Completed Runs/], { look: seeLine });

page("logged models", ({ experiment }) => `/experiments/${experiment}/models`, [names.loggedModel, "Ready", "fast learner"]);

page("a logged model", ({ experiment, loggedModel }) => `/experiments/${experiment}/models/${loggedModel}`,
  [names.loggedModel, "Ready", "fast learner", "auc", "0.93", "Parameters (1)"]);

page("a logged model's artifacts", ({ experiment, loggedModel }) => `/experiments/${experiment}/models/${loggedModel}/artifacts`, ["MLmodel"]);

page("registered models", () => "/models", ["Registered Models", names.model, "Version 2", /@\s*champion/]);

page("a registered model", () => `/models/${names.model}`, [names.model, "Scores customers each night", "Version 1", "deeper trees", /@\s*champion/]);

page("a model version", () => `/models/${names.model}/versions/1`, ["Version 1", "first try", "validated", "Staging", "fast learner"]);

page("prompts", () => "/prompts", [names.prompt, "Version 1"]);

page("a prompt", () => `/prompts/${names.prompt}`, ["Viewing version 1", "first wording", /Summarise \{\{text\}\} in one sentence/]);

page("traces, which are not built yet", ({ experiment }) => `/experiments/${experiment}/traces`,
  ["Couldn't load traces", /Traces are not built yet in Trackway/], { tolerated: TRACES, mayShowAnError: true });
