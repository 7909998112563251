// The websocket, which connects again by itself: after 1 s, 2 s, ... 30 s, and at once when the network or the page comes back.

const SILENCE_MS = 45000; // the service gives a sign of life every 15 s; after so long the link is dead
const listeners = new Map();
let socket = null,
  attempts = 0,
  timer = 0,
  watchdog = 0,
  wanted = false;

/** on("scores", message => …) returns what ends it. Types: those of the service, and "link" with { up }. */
export function on(type, listener) {
  if (!listeners.has(type)) listeners.set(type, new Set());
  listeners.get(type).add(listener);
  return () => listeners.get(type).delete(listener);
}
function tell(type, message) {
  for (const listener of [...(listeners.get(type) || [])]) listener(message);
}

export function connect() {
  wanted = true;
  clearTimeout(timer);
  if (socket && socket.readyState <= WebSocket.OPEN) return;
  socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/ws");
  const mine = socket;
  alive();
  socket.onopen = () => {
    attempts = 0;
    alive();
    tell("link", { up: true });
  };
  socket.onmessage = (event) => {
    alive();
    const message = JSON.parse(event.data);
    tell(message.type, message);
  };
  socket.onclose = () => {
    if (mine !== socket) return;
    clearTimeout(watchdog);
    tell("link", { up: false });
    if (wanted) timer = setTimeout(connect, Math.min(30000, 1000 * 2 ** attempts++) * (0.75 + Math.random() / 2));
  };
}
export function disconnect() {
  wanted = false;
  clearTimeout(timer);
  clearTimeout(watchdog);
  const old = socket;
  socket = null;
  if (old) {
    old.onclose = null;
    old.close();
  }
}
function alive() {
  clearTimeout(watchdog);
  watchdog = setTimeout(() => {
    const dead = socket;
    if (dead) {
      dead.close();
      dead.onclose();
    }
  }, SILENCE_MS);
}
const retry = () => {
  if (wanted && !(socket && socket.readyState === WebSocket.OPEN)) {
    attempts = 0;
    connect();
  }
};
addEventListener("online", retry);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) retry();
});
