// The coordinator's HTTP interface. Every path of it is named here and nowhere else.

const TOKEN = 'mdgen-token';
const TIMEOUT_MS = 15000;
const KEPT_ANSWERS = 64;

// `status` 0: nobody answered.
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
  get lost() {
    return this.status === 0 || this.status >= 500;
  }
}

export const token = {
  get: () => sessionStorage.getItem(TOKEN) ?? '',
  set: (text) => (text ? sessionStorage.setItem(TOKEN, text) : sessionStorage.removeItem(TOKEN)),
};

const answers = new Map();

function remember(path, etag, body) {
  answers.delete(path);
  answers.set(path, { etag, body });
  if (answers.size > KEPT_ANSWERS) answers.delete(answers.keys().next().value);
}

// What belonged to the token before is not shown under another.
export function forgetAnswers() {
  answers.clear();
}

async function ask(path, options, signal) {
  const headers = { Accept: 'application/json', ...options.headers };
  if (token.get()) headers.Authorization = `Bearer ${token.get()}`;
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  try {
    return await fetch(path, {
      ...options, headers, cache: 'no-store', credentials: 'same-origin',
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, 'Unavailable', 'the coordinator does not answer');
  }
}

async function failure(response) {
  let code = '';
  let message = `${response.status} ${response.statusText}`;
  try {
    const { error } = await response.json();
    code = error.code ?? '';
    message = error.message ?? message;
  } catch { /* not one of the coordinator's own answers */ }
  return new ApiError(response.status, code, message);
}

async function body(response) {
  try {
    return await response.json();
  } catch {
    throw new ApiError(0, 'Unavailable', 'the answer broke off');
  }
}

async function get(path, signal) {
  const before = answers.get(path);
  const response = await ask(path, { headers: before?.etag ? { 'If-None-Match': before.etag } : {} }, signal);
  if (response.status === 304 && before) return before.body;
  if (!response.ok) throw await failure(response);
  const content = await body(response);
  const etag = response.headers.get('ETag');
  if (etag) remember(path, etag, content);
  return content;
}

async function send(method, path, content) {
  const response = await ask(path, {
    method, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(content ?? {}),
  });
  if (!response.ok) throw await failure(response);
  return body(response);
}

// Lists are repeated; what is empty is left out.
function query(parameters) {
  const text = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters))
    for (const one of [value].flat()) if (one !== undefined && one !== null && one !== '') text.append(name, one);
  return text.size ? `?${text}` : '';
}

const jobPath = (id, rest = '') => `/v1/jobs/${encodeURIComponent(id)}${rest}`;

export const api = {
  // A coordinator without access control may not know the path.
  async access(signal) {
    try {
      return await get('/v1/access', signal);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return { required: false, role: 'ADMIN' };
      throw error;
    }
  },
  jobs: (filter, signal) => get(`/v1/jobs${query(filter)}`, signal),
  job: (id, signal) => get(jobPath(id), signal),
  events: (id, after, signal) => get(jobPath(id, `/events${query({ after_sequence: after })}`), signal),
  metrics: (id, names, after, points, signal) =>
    get(jobPath(id, `/metrics${query({ name: names, after_step: after, max_points: points })}`), signal),
  checkpoints: (id, signal) => get(jobPath(id, '/checkpoints'), signal),
  logs: (id, parameters, signal) => get(jobPath(id, `/logs${query(parameters)}`), signal),
  samples: (id, parameters, signal) => get(jobPath(id, `/samples${query(parameters)}`), signal),
  workers: (signal) => get('/v1/workers', signal),
  queue: (signal) => get('/v1/queue', signal),

  cancel: (id, grace) => send('POST', jobPath(id, '/cancel'), { grace_seconds: grace }),
  pause: (id) => send('POST', jobPath(id, '/pause')),
  resume: (id) => send('POST', jobPath(id, '/resume')),
  retry: (id) => send('POST', jobPath(id, '/retry'), { request_id: crypto.randomUUID?.() ?? randomId() }),
  update: (id, changes) => send('POST', jobPath(id, '/update'), changes),
  drain: (worker) => send('POST', `/v1/workers/${encodeURIComponent(worker)}/drain`),
};

// crypto.randomUUID is missing where the page came over plain HTTP from another host.
function randomId() {
  const b = crypto.getRandomValues(new Uint8Array(16));
  b[6] = (b[6] & 15) | 64;
  b[8] = (b[8] & 63) | 128;
  return [...b].map((x, i) => ([4, 6, 8, 10].includes(i) ? '-' : '') + x.toString(16).padStart(2, '0')).join('');
}
