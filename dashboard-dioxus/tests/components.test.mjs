import assert from "node:assert/strict";
import { test } from "node:test";
import { button, expectAccessible, heading, hidden, openPage, shown, url } from "./support.mjs";

test("every component is accessible in both themes and widths", async (t) => {
  for (const narrow of [false, true]) {
    const page = await openPage(t, { narrow });
    await page.goto(`${url}/ui`);
    await shown(heading(page, "Components"));
    await expectAccessible(page);
  }
});

test("shapes and borders of controls have a contrast of at least 3", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/ui`);
  await shown(heading(page, "Components"));
  for (const theme of ["dark", "light"]) {
    const low = await page.evaluate((theme) => {
      document.documentElement.dataset.theme = theme;
      const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
      const channels = (color) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = color;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
      };
      const luminance = (color) => {
        const linear = channels(color).map((value) => {
          const part = value / 255;
          return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
      };
      const contrast = (a, b) => {
        const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
        return (high + 0.05) / (low + 0.05);
      };
      const found = [];
      for (const swatch of document.querySelectorAll(".swatch")) {
        const ground = getComputedStyle(swatch).backgroundColor;
        for (const element of swatch.children) {
          const style = getComputedStyle(element);
          const color = element.dataset.edge ? style.borderTopColor : style.color;
          const wanted = element.tagName === "SPAN" && !element.dataset.edge ? 4.5 : 3;
          const ratio = contrast(color, ground);
          if (ratio < wanted) found.push(`${swatch.dataset.ground} ${element.className} ${ratio.toFixed(2)}`);
        }
      }
      return found;
    }, theme);
    assert.deepEqual(low, [], theme);
  }
});

test("a dialog holds the focus and returns it", async (t) => {
  const page = await openPage(t);
  await page.goto(`${url}/ui`);
  await button(page, "Open dialog").click();
  await shown(page.getByRole("dialog", { name: "Sample dialog" }));
  await page.keyboard.press("Escape");
  await hidden(page.getByRole("dialog", { name: "Sample dialog" }));
  await page.waitForFunction(() => document.activeElement?.textContent === "Open dialog");
});
