// Elements of the pages. Texts are set as text, never as markup.

/** An element with attributes and children (elements or texts). */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

/** Paragraphs of a text with line breaks. */
export const paragraphs = (text) =>
  text.split(/\n+/).filter((line) => line.trim()).map((line) => make("p", {}, line));

/** Texts of one language with {names} filled in. */
export class Words {
  constructor(all, language) {
    this.all = all;
    this.language = language;
  }

  get(key, values = {}) {
    const text = this.all[this.language][key] ?? this.all.en[key] ?? key;
    return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
  }
}

/** Replaces the page, and moves the focus and the reading position to its heading. */
export function put(...children) {
  const main = document.getElementById("main");
  main.replaceChildren(...children);
  const heading = main.querySelector("h1");
  if (heading) {
    heading.tabIndex = -1;
    heading.focus({ preventScroll: true });
  }
  window.scrollTo(0, 0);
}

/** Says something to a screen reader. */
export function say(text) {
  document.getElementById("said").textContent = text;
}

/** Shows or hides the line above the page. */
export function notice(text) {
  const line = document.getElementById("notice");
  line.textContent = text;
  line.hidden = !text;
}
