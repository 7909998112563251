// Requests to the service. Every failure becomes an Error whose message is a sentence for the person at the screen.

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

let loggedOut = () => {};
/** What to do when the service asks for a login. */
export const onLoggedOut = (action) => (loggedOut = action);

export async function api(path, { method = "GET", body, query } = {}) {
  const url = new URL("/api/v1" + path, location.origin);
  for (const [name, value] of Object.entries(query || {}))
    if (value !== null && value !== undefined && value !== "")
      url.searchParams.set(name, value instanceof Date ? value.toISOString() : value);
  const headers = { "X-RefineVAD": "1" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(url, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
    });
  } catch {
    throw new ApiError("The service does not answer. Is it running, and is this machine on its network?", 0);
  }
  if (response.status === 401 && path !== "/session") loggedOut();
  if (!response.ok) throw new ApiError(await sentence(response), response.status);
  return response.status === 204 ? null : response.json();
}

async function sentence(response) {
  try {
    const { detail } = await response.json();
    if (typeof detail === "string") {
      const begun = /^[a-z]+[ ,]/.test(detail) ? detail.charAt(0).toUpperCase() + detail.slice(1) : detail;
      return begun + (/[.!?]$/.test(detail) ? "" : ".");
    }
  } catch {
    /* no JSON: say what is known */
  }
  return `The service answered ${response.status}.`;
}

/** Send a file as a body; `onprogress` is handed the share sent. Returns { done, abort }. */
export function upload(file, onprogress) {
  const request = new XMLHttpRequest();
  const done = new Promise((resolve, reject) => {
    request.open("POST", "/api/v1/jobs?name=" + encodeURIComponent(file.name));
    request.setRequestHeader("X-RefineVAD", "1");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => event.lengthComputable && onprogress(event.loaded / event.total);
    request.onload = () => {
      let answer = {};
      try {
        answer = JSON.parse(request.responseText);
      } catch {
        /* below */
      }
      if (request.status === 202) resolve(answer);
      else {
        if (request.status === 401) loggedOut();
        reject(new ApiError(answer.detail || `The service answered ${request.status}.`, request.status));
      }
    };
    request.onerror = () => reject(new ApiError("The upload broke off; the connection or the service went away.", 0));
    request.onabort = () => reject(new ApiError("Upload cancelled.", -1));
    request.send(file);
  });
  return { done, abort: () => request.abort() };
}
