// Elements made from data, and a page brought up to date without losing focus, selection or scroll place.
// Text only ever becomes text nodes and attributes: nothing that a user or a program wrote is parsed as HTML.

const SVG = 'http://www.w3.org/2000/svg';

function dispatch(event) {
  event.currentTarget.handlers?.[event.type]?.(event);
}

function append(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

function setUp(node, { key, island, on, style, ...attributes }) {
  if (key !== undefined) node.key = key;
  if (island) node.island = true;
  if (on) {
    node.handlers = on;
    for (const type of Object.keys(on)) node.addEventListener(type, dispatch);
  }
  for (const [name, value] of Object.entries(style ?? {})) node.style.setProperty(name, value);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'value') node.value = value;
    node.setAttribute(name, value === true ? '' : value);
  }
  return node;
}

// `key` tells siblings apart between two renderings; `island` is a part that looks after itself; `on` are
// event handlers, `style` properties of the style.
export function h(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  append(node, children);
  return setUp(node, properties ?? {});
}

export function svg(tag, properties = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  append(node, children);
  return setUp(node, properties ?? {});
}

// The place of an island in a rendering: the island itself the first time, later only a mark, since what is in
// the page and stays there must not be moved: it would lose focus, selection and scroll place.
export function placeOf(root) {
  if (!root.isConnected) return root;
  const mark = document.createElement(root.nodeName);
  mark.key = root.key;
  mark.island = true;
  return mark;
}

function sameKind(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && a.key === b.key;
}

// A <details> is opened and closed by people alone, once it is there.
const KEPT = new Set(['style', 'open']);

function morphAttributes(old, next) {
  for (const { name } of [...old.attributes])
    if (!next.hasAttribute(name) && !KEPT.has(name)) old.removeAttribute(name);
  for (const { name, value } of next.attributes)
    if (!KEPT.has(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  if (old.style && old.style.cssText !== next.style.cssText) old.style.cssText = next.style.cssText;
  if ('value' in old && old !== document.activeElement && old.value !== next.value) old.value = next.value;
  for (const type of Object.keys(next.handlers ?? {}))
    if (!old.handlers?.[type]) old.addEventListener(type, dispatch);
  old.handlers = next.handlers;
}

function morphChildren(old, next) {
  const keyed = new Map();
  for (const child of old.childNodes) if (child.key !== undefined) keyed.set(child.key, child);
  const kept = new Set();
  let cursor = old.firstChild;
  for (const wanted of [...next.childNodes]) {
    while (cursor && kept.has(cursor)) cursor = cursor.nextSibling;
    const match = wanted.key !== undefined ? keyed.get(wanted.key) : cursor;
    if (match && !kept.has(match) && sameKind(match, wanted)) {
      if (match === cursor) cursor = cursor.nextSibling;
      else old.insertBefore(match, cursor);
      morph(match, wanted);
      kept.add(match);
    } else {
      old.insertBefore(wanted, cursor);
      kept.add(wanted);
    }
  }
  for (const child of [...old.childNodes]) if (!kept.has(child)) child.remove();
}

// Makes `old`, which is in the page, look like `next`, which is not and is used up.
export function morph(old, next) {
  if (old === next) return;
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== next.data) old.data = next.data;
    return;
  }
  if (old.island && next.island) return;
  morphAttributes(old, next);
  morphChildren(old, next);
}

// Shows `children` in `container` in place of what it shows now.
export function show(container, ...children) {
  const next = container.cloneNode(false);
  append(next, children);
  morphChildren(container, next);
}

export function say(text) {
  document.getElementById('said').textContent = text;
}
