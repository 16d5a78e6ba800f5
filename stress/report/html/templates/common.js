// What every page has: elements, the theme, copying. Texts from outside enter the page by textContent alone.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element with attributes and children; a child that is no element becomes text. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  return fill(element, attributes, children);
}

/** The same for SVG. */
function draw(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

const all = (selector, within = document) => [...within.querySelectorAll(selector)];

/** The theme that was chosen last; storage may be forbidden, then it lasts as long as the page. */
function themes() {
  const kept = "gateway-stress-theme";
  let theme = "";
  try { theme = localStorage.getItem(kept) || ""; } catch { /* not allowed here */ }
  const buttons = all(".themes button");
  const choose = (chosen) => {
    if (chosen) document.documentElement.dataset.theme = chosen;
    else delete document.documentElement.dataset.theme;
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.theme === chosen));
  };
  for (const button of buttons) {
    button.addEventListener("click", () => {
      choose(button.dataset.theme);
      try { localStorage.setItem(kept, button.dataset.theme); } catch { /* not allowed here */ }
    });
  }
  choose(["light", "dark"].includes(theme) ? theme : "");
  for (const group of all(".themes")) group.hidden = false;
}

/** Copy without a clipboard to be asked for: what is selected is copied. */
function copySelected(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  const selection = getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
  return document.execCommand("copy");
}

function copies() {
  for (const button of all("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      let done = true;
      try { await navigator.clipboard.writeText(code.textContent); } catch { done = copySelected(code); }
      button.textContent = done ? "Copied" : "Press Ctrl+C";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }
}

/** Tell whether a text has every one of some words, in any case. */
function has(text, words) {
  const low = text.toLowerCase();
  return words.every((word) => low.includes(word));
}

const wordsOf = (input) => input.value.toLowerCase().split(/\s+/).filter(Boolean);

themes();
copies();
