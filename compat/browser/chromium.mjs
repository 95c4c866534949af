// Debian's Chromium, driven by Playwright, and everything that a page complains about while it is open.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { chromium } from "playwright-core";

const PROGRAM = "/usr/bin/chromium";
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Errors in a console that say nothing about a server. */
const HARMLESS = [
  // Said of every refusal, which the listener for responses sees with its path and judges.
  "Failed to load resource",
  // A chart was still being laid out when the frame ended; the browser lays it out in the next one.
  "ResizeObserver loop completed with undelivered notifications",
];

/** Opens a browser with a new, empty profile. */
export async function launch() {
  const profile = await mkdtemp(path.join(tmpdir(), "trackway-chromium-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: PROGRAM,
    args: FLAGS,
    viewport: { width: 1500, height: 1000 },
  });
  return {
    context,
    async close() {
      await context.close();
      await rm(profile, { recursive: true, force: true });
    },
  };
}

/**
 * Opens a tab whose complaints are gathered: errors in the console, exceptions, and requests that failed, were refused
 * or went to another host than `url`. Each of `tolerated` is { method, path, status, because }: a refusal that is none.
 */
export async function openTab(context, url, tolerated = []) {
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(`exception: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !HARMLESS.some((words) => message.text().includes(words)))
      complaints.push(`console: ${message.text()}`);
  });
  page.on("requestfailed", (request) => {
    // A page that is left gives up what it still asks for.
    const why = request.failure()?.errorText;
    if (why !== "net::ERR_ABORTED") complaints.push(`failed: ${request.method()} ${request.url()} ${why}`);
  });
  page.on("response", (response) => {
    if (response.status() < 400) return;
    const method = response.request().method();
    const { pathname } = new URL(response.url());
    const known = tolerated.some(
      (refusal) => refusal.method === method && refusal.status === response.status() && refusal.path.test(pathname),
    );
    if (!known) complaints.push(`refused: ${method} ${response.url()} ${response.status()}`);
  });
  await page.route(
    (target) => !target.href.startsWith(`${url}/`) && target.protocol.startsWith("http"),
    (route) => {
      complaints.push(`foreign host: ${route.request().url()}`);
      return route.abort();
    },
  );
  return { page, complaints };
}
