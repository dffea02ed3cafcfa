/** Browser has cookies, and may lose an answer. */
export class Browser {
  cookies = new Map();
  constructor(url) {
    this.url = url;
  }

  /** take stores what Set-Cookie headers say. */
  take(headers) {
    for (const header of headers) {
      const [, name, value, age] = /^([^=]+)=([^;]*); Path=\/; Max-Age=(-?\d+); HttpOnly; Secure; SameSite=Lax$/.exec(header);
      if (Number(age) > 0) this.cookies.set(name, value);
      else this.cookies.delete(name);
    }
  }

  header() {
    return [...this.cookies].map((pair) => pair.join("=")).join("; ");
  }

  /** expire drops the access token, as a browser does at the end of its cookie. */
  expire() {
    for (const name of this.cookies.keys()) if (!name.endsWith("-refresh")) this.cookies.delete(name);
  }

  /** get loads a page. If the answer is lost its cookies are. */
  async get(path = "/", { lost = false, method = "GET", headers = {} } = {}) {
    const answer = await fetch(this.url + path, { method, headers: { Cookie: this.header(), ...headers } });
    const set = answer.headers.getSetCookie();
    if (!lost) this.take(set.filter((header) => header.startsWith("__Host-")));
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, set, body: text.startsWith("{") ? JSON.parse(text) : text };
  }
}
