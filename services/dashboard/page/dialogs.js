// Questions to the person at the page.
import { h } from './dom.js';

// Opens a dialog with these fields and resolves to their values by name, or to null when it was left.
export function ask({ title, text, fields = [], confirm, danger }) {
  return new Promise((resolve) => {
    let answer = null;
    const inputs = fields.map(({ label, ...properties }) => h('label', {}, label, h('input', properties)));
    const close = () => dialog.close();
    const form = h('form', { method: 'dialog', on: { submit: (event) => {
      event.preventDefault();
      answer = Object.fromEntries([...form.querySelectorAll('input')].map((input) => [input.name, input.value]));
      close();
    } } },
    h('h2', { id: 'dialog-title' }, title), text ? h('p', {}, text) : null, inputs,
    h('div', { class: 'row' }, h('button', { type: 'button', on: { click: close } }, 'Back'),
      h('button', { type: 'submit', id: 'dialog-confirm', class: danger ? 'danger' : 'main' }, confirm)));
    const dialog = h('dialog', { 'aria-labelledby': 'dialog-title' }, form);
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
