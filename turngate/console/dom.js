// Making elements without a framework.

/** @typedef {Record<string, string | number | boolean | null | undefined | ((event: any) => void)>} Attributes */
/** @typedef {(Node | string | null | undefined | false)[]} Children */

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element. Attributes whose value is null, undefined or false are left out; functions are listeners.
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Attributes} [attributes]
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {HTMLElementTagNameMap[Name]} */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  put(element, attributes);
  append(element, children);
  return element;
}

/** An SVG element.
 * @template {keyof SVGElementTagNameMap} Name
 * @param {Name} name
 * @param {Attributes} [attributes]
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {SVGElementTagNameMap[Name]} */
export function s(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  put(element, attributes);
  append(element, children);
  return element;
}

/** Set attributes that have changed.
 * @param {any} element
 * @param {Attributes} attributes */
export function put(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === null || value === undefined || value === false) element.removeAttribute(name);
    else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value === true ? "" : String(value));
  }
}

/** Set a text if it has changed, so that nothing is announced or drawn again.
 * @param {Element} element
 * @param {string} text */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Keep one element for each entry, in their order.
 * @template Entry
 * @param {Element} parent
 * @param {Entry[]} entries
 * @param {(entry: Entry) => string} keyOf
 * @param {(entry: Entry) => Element} make
 * @param {(element: any, entry: Entry) => void} update */
export function reconcile(parent, entries, keyOf, make, update) {
  /** @type {Map<string, Element>} */
  const before = new Map([...parent.children].map((child) => [child.getAttribute("data-key") ?? "", child]));
  let place = parent.firstElementChild;
  for (const entry of entries) {
    const key = keyOf(entry);
    let element = before.get(key);
    if (element === undefined) {
      element = make(entry);
      element.setAttribute("data-key", key);
    }
    before.delete(key);
    update(element, entry);
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
  }
  for (const [, left] of before) left.remove();
}

/** Have the browser save a text as a file.
 * @param {string} name
 * @param {string} type
 * @param {string} text */
export function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** @param {Element} element
 * @param {Children} children */
function append(element, children) {
  for (const child of children) if (child !== null && child !== undefined && child !== false) element.append(child);
}
