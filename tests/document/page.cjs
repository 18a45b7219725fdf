// Checks a page in a browser: axe-core at 1280 and at 320 pixels, no sideways scrolling of the page at 320, every region
// that scrolls can be reached by keyboard; prints the page to PDF. Exits with 1 on a violation.
//
// node page.cjs PAGE.html FOLDER
// Needs the packages of package.json where node finds them (NODE_PATH), and Chromium on the PATH or named by CHROMIUM.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const puppeteer = require("puppeteer-core");
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const WIDTHS = [1280, 320];

function chromium() {
  const names = ["chromium", "chromium-browser", "google-chrome"];
  const folders = (process.env.PATH || "").split(path.delimiter);
  const found = folders.flatMap((folder) => names.map((name) => path.join(folder, name))).find((file) => fs.existsSync(file));
  return process.env.CHROMIUM || found;
}

async function violations(page, width) {
  await page.setViewport({ width, height: 900 });
  const found = await page.evaluate(async () => {
    const result = await window.axe.run(document, { resultTypes: ["violations"] });
    return result.violations.map((rule) => `${rule.id}: ${rule.help} (${rule.nodes.map((node) => node.html.slice(0, 120)).join(" | ")})`);
  });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (overflow > 0) found.push(`the page is ${overflow} pixels wider than the window`);
  return found.map((text) => `${width}px ${text}`);
}

async function main([file, folder]) {
  if (!file || !folder) throw new Error("node page.cjs PAGE.html FOLDER");
  fs.mkdirSync(folder, { recursive: true });
  const name = path.basename(file, ".html");
  const browser = await puppeteer.launch({
    executablePath: chromium(),
    // The page is our own and has no script; the sandbox is not there for root in a container.
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });
  try {
    const page = await browser.newPage();
    const problems = [];
    page.on("request", (request) => {
      if (!/^(file|data):/.test(request.url())) problems.push(`asks for ${request.url()}`);
    });
    page.on("console", (message) => { if (message.type() === "error") problems.push(message.text()); });
    await page.goto(pathToFileURL(path.resolve(file)).href, { waitUntil: "load" });
    await page.evaluate(axe);
    for (const width of WIDTHS) {
      problems.push(...(await violations(page, width)));
      await page.screenshot({ path: path.join(folder, `${name}-${width}.png`), fullPage: true });
    }
    const pdf = await page.pdf({ path: path.join(folder, `${name}.pdf`), preferCSSPageSize: true, printBackground: true });
    const pages = (Buffer.from(pdf).toString("latin1").match(/\/Type\s*\/Page\b/g) || []).length;
    for (const problem of problems) console.error(problem);
    console.log(`${name}: ${pages} pages, ${problems.length} problems`);
    return problems.length > 0 || pages === 0 ? 1 : 0;
  } finally {
    await browser.close();
  }
}

main(process.argv.slice(2)).then((code) => { process.exitCode = code; }, (error) => { console.error(error); process.exitCode = 1; });
