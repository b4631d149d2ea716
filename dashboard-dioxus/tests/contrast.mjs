// Checks the contrast of the texts, icons and fields that the page shows. Mixes transparent colours with the colours
// under them.

// Describes the elements with too little contrast, as WCAG 2 defines it: texts below 4.5 (large texts below 3), icons
// below 3, and fields whose border and background are both below 3. Runs in the page, so it can't use other functions
// of this file.
function findLowContrast() {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  canvas.canvas.width = canvas.canvas.height = 1;
  // Returns the red, green, blue and opacity of a CSS colour. The canvas parses all notations.
  const parse = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
    return { red, green, blue, alpha: alpha / 255 };
  };
  const over = (top, bottom) => {
    const mix = (name) => top[name] * top.alpha + bottom[name] * (1 - top.alpha);
    return { red: mix("red"), green: mix("green"), blue: mix("blue"), alpha: 1 };
  };
  const luminance = ({ red, green, blue }) => {
    const linear = [red, green, blue].map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const contrast = (a, b) => {
    const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  };
  // Returns the colour behind the text of an element: the mixed backgrounds of the element and of its ancestors.
  const groundOf = (element) => {
    const layers = [];
    for (let current = element; current; current = current.parentElement) {
      const color = parse(getComputedStyle(current).backgroundColor);
      if (color.alpha > 0) layers.push(color);
      if (color.alpha === 1) break;
    }
    const base = parse(getComputedStyle(document.body).backgroundColor);
    return layers.reduceRight((bottom, top) => over(top, bottom), { ...base, alpha: 1 });
  };
  const name = (element) => {
    const text = element.textContent.trim().slice(0, 30);
    return `<${element.tagName.toLowerCase()} class="${element.getAttribute("class") ?? ""}"> ${text}`;
  };
  // Disabled controls may have any contrast.
  const isDisabled = (element) => {
    const control = element.closest("button, input, select, textarea, label, [aria-disabled=true]");
    if (!control) return false;
    return control.matches(":disabled, [aria-disabled=true]") || Boolean(control.querySelector?.(":disabled"));
  };
  const isShown = (element) => {
    if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) return false;
    const { width, height } = element.getBoundingClientRect();
    return width > 1 && height > 1;
  };
  const found = new Set();
  const expect = (element, kind, color, ground, wanted) => {
    const ratio = contrast(over(color, ground), ground);
    if (ratio < wanted) found.add(`${kind} ${ratio.toFixed(2)} < ${wanted}: ${name(element)}`);
  };
  for (const element of document.querySelectorAll("body *")) {
    if (!isShown(element) || isDisabled(element)) continue;
    const style = getComputedStyle(element);
    const hasText = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    const isField = element.matches("input:not([type=checkbox], [type=radio]), textarea, select");
    if (hasText || (isField && element.value)) {
      const size = parseFloat(style.fontSize);
      const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      expect(element, "text", parse(style.color), groundOf(element), isLarge ? 3 : 4.5);
    }
    if (element.matches("input[placeholder], textarea[placeholder]")) {
      expect(element, "placeholder", parse(getComputedStyle(element, "::placeholder").color), groundOf(element), 4.5);
    }
    if (element.matches("svg.mark, svg.i")) expect(element, "shape", parse(style.color), groundOf(element), 3);
    if (element.matches(".input, .box, .switch, .searchbox") && element.getAttribute("aria-readonly") !== "true") {
      const around = groundOf(element.parentElement);
      const fill = over(parse(style.backgroundColor), around);
      const border = over(parse(style.borderTopColor), fill);
      const ratio = Math.max(contrast(border, around), contrast(fill, around));
      if (ratio < 3) found.add(`control ${ratio.toFixed(2)} < 3: ${name(element)}`);
    }
  }
  return [...found];
}

// Sets the theme, and describes the elements with too little contrast in it.
export async function lowContrast(page, theme) {
  await page.evaluate((theme) => (document.documentElement.dataset.theme = theme), theme);
  return page.evaluate(`(${findLowContrast})()`);
}
