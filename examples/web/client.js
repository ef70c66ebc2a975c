// Keeps a call of the Agora Web SDK supplied with tokens from a server such as fasttoken's.
//
//   const client = AgoraRTC.createClient({ mode: "rtc", codec: "vp8" });
//   const fetchToken = tokensFrom("/v1/tokens", { expire: 3600 });
//   const call = new Call(client, { appId, channel: "lobby", uid: 42, fetchToken });
//   const { tracks } = await openDevices(AgoraRTC);
//   await call.join(tracks);
//   ...
//   await call.leave();
//
// It fetches a token to join with, another one each time that the SDK says that the token will
// expire, and joins again with a new one if the token did expire. docs/web-client.md tells more.

const PATIENCE = 10_000; // milliseconds for one attempt to fetch a token
const FIRST_WAIT = 500; // milliseconds before the second attempt, at most
const LONGEST_WAIT = 15_000; // milliseconds between later attempts, at most

/** The server has answered, and asking again would not change its answer. */
export class Refused extends Error {
  name = "Refused";
}

/**
 * What fetches a token by `POST`: a function of channel, uid and an AbortSignal, for one attempt.
 *
 * `role` is publisher or subscriber, `expire` the lifetime in seconds (by default what the server
 * is set to), `headers` go along with every request (an API key, a JWT).
 * It resolves to the server's answer, `{ token, issued_at, expires_at, renew_at }` in Unix seconds,
 * and rejects with `Refused`, or with another Error if it is worth while to ask again.
 */
export function tokensFrom(url, { role = "publisher", expire, headers = {} } = {}) {
  return async (channel, uid, signal) => {
    const services = [{ service: "rtc", channel_name: channel, uid, role }];
    const answer = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: JSON.stringify({ services, expire }),
      signal,
    });
    if (answer.ok) return await answer.json();
    const problem = await answer.json().catch(() => ({}));
    const text = problem.detail ?? problem.title ?? answer.statusText;
    const message = `${answer.status}: ${text}`;
    const passing = answer.status >= 500 || [408, 425, 429].includes(answer.status);
    if (!passing) throw new Refused(message);
    const error = new Error(message);
    error.retryAfter = Number(answer.headers.get("Retry-After")) || 0; // seconds
    throw error;
  };
}

/**
 * Opens microphone and camera, or the one that there is.
 *
 * Resolves to `{ tracks, missing }`: the local tracks to publish, and for each device that could
 * not be opened `{ device, reason }`, where the reason is the SDK's code, as `PERMISSION_DENIED`.
 */
export async function openDevices(AgoraRTC) {
  try {
    // One question to the user for both.
    return { tracks: await AgoraRTC.createMicrophoneAndCameraTracks(), missing: [] };
  } catch {
    // Whichever it was: each on its own.
  }
  const tracks = [];
  const missing = [];
  const open = {
    microphone: () => AgoraRTC.createMicrophoneAudioTrack(),
    camera: () => AgoraRTC.createCameraVideoTrack(),
  };
  for (const device of Object.keys(open)) {
    try {
      tracks.push(await open[device]());
    } catch (error) {
      missing.push({ device, reason: error.code ?? error.name });
    }
  }
  return { tracks, missing };
}

/**
 * A user's call in one channel.
 *
 * `state` is one of
 *   left       not in the channel
 *   joining    fetching a token, then joining and publishing
 *   joined     in the channel
 *   renewing   in the channel, fetching the token that will replace the one in use
 *   rejoining  thrown out, since the token has expired: fetching a new one, then joining again
 *   leaving    on the way out
 *   failed     out of the channel, against the user's will; `join` tries again
 *
 * Events (CustomEvent, their `detail` in braces):
 *   state    { state, reason }   reason: an Error if there is one to tell
 *   fetched  { why, attempt, token }   a token has come; `why` is join, renew or rejoin
 *   retry    { why, attempt, wait, error }   no token has come; `wait` seconds until the next try
 *   refused  { why, attempt, error }   no token will come
 *   problem  { error }   something failed that does not end the call
 *
 * A token as it stands in `call.token` and in events is never the token itself but what may be
 * shown of it: { fingerprint, lifetime, issuedAt, renewAt, expiresAt }, lifetime in seconds and the
 * rest as Dates of this machine's clock.
 */
export class Call extends EventTarget {
  state = "left";
  token = null;
  #client;
  #appId;
  #channel;
  #uid;
  #fetchToken;
  #tracks = [];
  #work = new AbortController(); // what is being done about a token, until something outdoes it

  constructor(client, { appId, channel, uid, fetchToken }) {
    super();
    this.#client = client;
    this.#appId = appId;
    this.#channel = channel;
    this.#uid = uid;
    this.#fetchToken = fetchToken;
    client.on("token-privilege-will-expire", () => this.#renew());
    client.on("token-privilege-did-expire", () => this.#rejoin());
    client.on("connection-state-change", (state, _, reason) => this.#changed(state, reason));
  }

  /** Joins, then publishes local tracks, if any. Resolves when that is done, failed or outdone. */
  async join(tracks = []) {
    if (this.state !== "left" && this.state !== "failed") throw new Error(`already ${this.state}`);
    this.#tracks = tracks;
    await this.#enter("join", "joining");
  }

  /** Leaves, whatever the call is at. The tracks stay open: they are the caller's. */
  async leave() {
    if (this.state === "left" || this.state === "leaving") return;
    this.#work.abort();
    this.#become("leaving");
    try {
      await this.#client.leave();
    } finally {
      this.token = null;
      this.#become("left");
    }
  }

  #renew() {
    if (this.state !== "joined") return; // renewing, rejoining: a token is on its way
    this.#supply("renew", "renewing", (token) => this.#client.renewToken(token));
  }

  #rejoin() {
    if (this.state !== "joined" && this.state !== "renewing") return;
    this.token = null;
    this.#enter("rejoin", "rejoining");
  }

  /** The SDK gave the connection up, or was told to by Agora. */
  #changed(state, reason) {
    if (state !== "DISCONNECTED") return;
    if (this.state !== "joined" && this.state !== "renewing") return;
    if (reason === "TOKEN_EXPIRE") {
      this.#rejoin(); // the event may follow, or not: it depends on how the SDK learned of it
      return;
    }
    this.#work.abort();
    this.token = null;
    this.#become("failed", new Error(`disconnected: ${reason}`));
  }

  async #enter(why, state) {
    const joined = await this.#supply(why, state, (token) =>
      this.#client.join(this.#appId, this.#channel, token, this.#uid),
    );
    if (!joined || !this.#tracks.length) return;
    try {
      await this.#client.publish(this.#tracks);
    } catch (error) {
      // Not if the call has ended or begun anew meanwhile: then that was the reason.
      if (this.state === "joined" || this.state === "renewing") this.#tell("problem", { error });
    }
  }

  /**
   * Fetches a token and puts it to use. What was being done about an earlier one is given up.
   * Resolves to whether the call is in the channel with the new token.
   */
  async #supply(why, state, use) {
    this.#work.abort();
    const { signal } = (this.#work = new AbortController());
    this.#become(state);
    try {
      const answer = await this.#fetch(why, signal);
      await use(answer.token);
      if (signal.aborted) return false;
      this.token = answer.shown;
      this.#become("joined");
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      if (why === "renew") {
        // The token in use is still good. When it ends, joining again is the next chance.
        this.#tell("problem", { error });
        this.#become("joined");
      } else {
        await this.#client.leave().catch(() => {});
        if (!signal.aborted) this.#become("failed", error);
      }
      return false;
    }
  }

  /** Asks until a token comes, the server refuses, or the signal says that it is no more wanted. */
  async #fetch(why, signal) {
    for (let attempt = 1; ; attempt++) {
      let error;
      try {
        const patience = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE)]);
        const answer = await this.#fetchToken(this.#channel, this.#uid, patience);
        signal.throwIfAborted();
        const shown = await describe(answer);
        signal.throwIfAborted();
        this.#tell("fetched", { why, attempt, token: shown });
        return { token: answer.token, shown };
      } catch (caught) {
        if (signal.aborted) throw caught;
        if (caught instanceof Refused) {
          this.#tell("refused", { why, attempt, error: caught });
          throw caught;
        }
        error = caught.name === "TimeoutError" ? new Error("no answer in time") : caught;
      }
      const most = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1));
      // At random, so that the clients of a server that was down don't come back all at once.
      const wait = Math.max(error.retryAfter ?? 0, (most * (1 + Math.random())) / 2000);
      this.#tell("retry", { why, attempt, wait, error });
      await pause(wait, signal);
    }
  }

  #become(state, reason = null) {
    this.state = state;
    this.#tell("state", { state, reason });
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** What may be shown of an answer with a token. */
async function describe({ token, issued_at, expires_at, renew_at }) {
  // From durations, not from the server's times: this machine's clock may be wrong.
  const now = Date.now();
  const after = (seconds) => new Date(now + (seconds - issued_at) * 1000);
  return {
    fingerprint: await fingerprint(token),
    lifetime: expires_at - issued_at,
    issuedAt: new Date(now),
    renewAt: after(renew_at),
    expiresAt: after(expires_at),
  };
}

/**
 * The first 16 digits of the token's SHA-256, as in the server's audit log. A page without HTTPS
 * can't hash: then "".
 */
async function fingerprint(token) {
  if (!globalThis.crypto?.subtle) return "";
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token));
  const bytes = new Uint8Array(digest).subarray(0, 8);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Resolves after some seconds; rejects when the signal aborts. */
function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, seconds * 1000);
    signal.addEventListener("abort", stop, { once: true });
  });
}
