// The page of our own that a server shows at `/` when it has no other.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launch, openTab } from "./chromium.mjs";
import { fill, names } from "./content.mjs";
import { start } from "./trackway.mjs";

let server, browser;

before(async () => {
  server = await start({ prefix: "/lab" });
  await fill(server.api);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

test("experiments and runs", async () => {
  const { page, complaints } = await openTab(browser.context, server.url);
  await page.goto(`${server.url}/`);
  await page.getByText(`export MLFLOW_TRACKING_URI=${server.url}`).waitFor();
  for (const name of [names.experiment, names.empty, "Default"])
    await page.locator("#experiments").getByText(name, { exact: true }).waitFor();
  await page.locator("#experiments").getByRole("button", { name: names.experiment }).click();
  for (const name of names.runs) await page.locator("#runs tr", { hasText: name }).waitFor();
  const diverged = page.locator("#runs tr", { hasText: "diverged" });
  assert.match(await diverged.innerText(), /FAILED|failed/i);
  await page.locator("#experiments").getByRole("button", { name: names.empty }).click();
  await page.locator("#runs tr", { hasText: names.runs[0] }).waitFor({ state: "detached" });
  assert.deepEqual(complaints, []);
  await page.close();
});

test("a name that is markup stays text", async () => {
  const markup = "<img src=x onerror=document.title='caught'>";
  await server.api("POST", "experiments/create", { name: markup });
  const { page, complaints } = await openTab(browser.context, server.url);
  await page.goto(`${server.url}/`);
  await page.locator("#experiments").getByText(markup, { exact: true }).waitFor();
  assert.equal(await page.title(), "Trackway");
  assert.deepEqual(complaints, []);
  await page.close();
});
