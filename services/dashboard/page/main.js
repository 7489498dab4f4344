// Which page is shown, by the address's fragment: #/jobs, #/jobs/ID, #/workers, #/queue.
import { actions } from './actions.js';
import { h, show } from './dom.js';
import { JobPage } from './job.js';
import { JobsPage } from './jobs.js';
import { connection } from './live.js';
import { QueuePage, WorkersPage } from './pool.js';
import { setUpTheme } from './theme.js';

const container = document.getElementById('view');
let page = null;

class NoPage {
  title() {
    return 'Not found';
  }
  stop() {}
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function make(name, id, parameters) {
  if (name === 'jobs' && id) return new JobPage(container, decoded(id));
  if (name === 'jobs') return new JobsPage(container, parameters);
  if (name === 'workers') return new WorkersPage(container);
  if (name === 'queue') return new QueuePage(container);
  show(container, h('p', { class: 'empty' }, 'There is no such page. ', h('a', { href: '#/jobs' }, 'All jobs')));
  return new NoPage();
}

function open(moveFocus) {
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?');
  const [name = '', id] = path.split('/');
  page?.stop();
  actions.outcome = null;
  container.replaceChildren();
  page = make(name || 'jobs', id, new URLSearchParams(query ?? ''));
  document.title = `${page.title()} · MDGen training`;
  for (const link of document.querySelectorAll('#pages a')) {
    const current = link.getAttribute('href') === `#/${name || 'jobs'}`;
    if (current) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  if (moveFocus) {
    container.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

setUpTheme();
document.getElementById('token-button').addEventListener('click', () => actions.askToken());
document.getElementById('skip').addEventListener('click', (event) => {
  event.preventDefault();
  container.focus();
});
connection.back = () => actions.refresh();
actions.changed = () => page?.live?.wake();
addEventListener('hashchange', () => open(true));
await actions.refresh();
open(false);
